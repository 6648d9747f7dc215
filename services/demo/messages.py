"""The demo's gallery: every message of the installation, in a language and with what the visitor chooses."""

from dataclasses import replace
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.chassis.http import problem
from services.chassis.settings import Settings
from services.notifier.gallery import Choice, Sample, samples
from services.notifier.gallery_page import MAIL_POLICY, Form, served_headers, served_page
from services.notifier.phrasing import OCCASIONS
from services.notifier.policy import LANGUAGES
from services.notifier.render import Renderer, Sender

_SWITCHES = (
    ("reminder", "Reminder"),
    ("co_brand", "The shop asks too"),
    ("disrupted", "While deliveries are disrupted"),
    ("no_shop", "Without a shop"),
)


def gallery_routes(settings: Settings) -> list[Route]:
    """`/demo/messages` and the mails that it shows."""
    renderer = Renderer(Sender(settings.brand, settings.help_phone, settings.help_email, settings.public_url))
    headers = served_headers()

    async def page(request: Request) -> Response:
        choice, on = _chosen(request)
        language = choice.languages[0]

        def mail(sample: Sample) -> str:
            chosen = {"occasion": sample.occasion, "language": language, **dict.fromkeys(sorted(on), "1")}
            return f"/demo/messages/mail?{urlencode(chosen)}"

        body = served_page(samples(renderer, choice), mail, Form(LANGUAGES, language, _SWITCHES, on))
        return Response(body, headers=headers)

    async def one_mail(request: Request) -> Response:
        choice, _ = _chosen(request)
        occasion = request.query_params.get("occasion", "")
        if occasion not in OCCASIONS:
            return problem(404, "No such message")
        found = next(samples(renderer, replace(choice, occasions=(occasion,), channels=("email",))))
        return Response(found.message.html, media_type="text/html", headers={"content-security-policy": MAIL_POLICY})

    return [
        Route("/demo/messages", page, methods=["GET", "HEAD"]),
        Route("/demo/messages/mail", one_mail, methods=["GET", "HEAD"]),
    ]


def _chosen(request: Request) -> tuple[Choice, frozenset[str]]:
    asked = request.query_params
    on = frozenset(name for name, _ in _SWITCHES if asked.get(name) == "1")
    language = asked.get("language", "")
    choice = Choice(
        languages=(language if language in LANGUAGES else LANGUAGES[0],),
        reminder="reminder" in on,
        co_brand="co_brand" in on,
        notice="" if "disrupted" in on else None,
    )
    return (replace(choice, merchant="") if "no_shop" in on else choice), on
