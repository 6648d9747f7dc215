"""The survey over HTTP. GET renders and never writes; POST keeps the answer and says 2xx only after the commit."""

import time
import uuid
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypedDict
from urllib.parse import quote

import structlog
from starlette.requests import HTTPConnection, Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from services.chassis.bounded_waiting import ANSWERED_WITHIN, within
from services.chassis.http import json_response, problem
from services.chassis.http_protocol import Lane
from services.chassis.metrics import Metrics
from services.chassis.sealing import Seal
from services.survey.answers.handlers import Answers
from services.survey.answers.recorded import Page
from services.survey.answers.responses import token_hash
from services.survey.conditions import etag
from services.survey.definitions import Definitions
from services.survey.languages import accepted_language, choose_language
from services.survey.recipient.first_tap import FirstTap
from services.survey.recipient.forms import Fields
from services.survey.recipient.guesses import UNSUBSCRIBE, Guessing
from services.survey.recipient.links import CaughtUp, Links, PutAside, TooNew
from services.survey.recipient.page_models import CaseNotice, ReviewLink
from services.survey.recipient.plain_look import PlainLook
from services.survey.recipient.posting import AWAY, OFFERED, Posts, fields_of, read_post, wants_json
from services.survey.recipient.rendering import SurveyPages
from services.survey.recipient.suspicion import RecentLooks
from services.survey.recipient.views import Views, face_of_link, first, tells_what_happens_next
from services.survey.recipient.warming import warm_up
from services.survey.refusals import Refused
from services.survey.reviews.stored import Reviews

log = structlog.get_logger()
_FAULTS_OF_OURS = ("overloaded", "storage", "not_ready")
_NEXT: Final = {"details": "?done=1", "further": "?done=1", "preferences": "?done=1&kept=preferences"}
"""Where a browser is sent after a form, by its `part`; without one it stays on the page."""

CaseOf = Callable[[uuid.UUID, str], Coroutine[Any, Any, CaseNotice | None]]
"""What the page says about the case of a response; the name is that of the carrier."""


@dataclass(slots=True)
class SurveyRoutes:
    """The recipient's pages, as an ASGI layer in front of the other routes: this is the hot path."""

    answers: Answers
    definitions: Definitions
    pages: SurveyPages
    seal: Seal
    metrics: Metrics
    caught_up: CaughtUp
    guessing: Guessing
    brand: str
    others: ASGIApp
    case_of: CaseOf | None = None
    reviews: Reviews = field(default_factory=Reviews.none)
    looks: RecentLooks = field(default_factory=lambda: RecentLooks(time.monotonic))
    _links: Links = field(init=False)
    _views: Views = field(init=False)
    _posts: Posts = field(init=False)

    def __post_init__(self) -> None:
        self._links = Links(self.answers, self.caught_up)
        self._views = Views(self.pages, self.definitions, self.seal, self.brand)
        self._posts = Posts(self.answers, self._views.nonce, self.looks, self.metrics, self.caught_up)
        for reason in _FAULTS_OF_OURS:
            self.metrics.begin("kvittera_answers_refused_total", reason=reason)

    def lanes(self, lets_look: Callable[[Scope], bool]) -> Sequence[Lane]:
        """The fast lanes of the HTTP server for a look at a page and the first tap; `lets_look` may refuse looks."""
        look = PlainLook(self.answers, self._views, self.pages.headers, self.looks, self.metrics, lets_look)
        return look.lane(), FirstTap(self.answers, self._views.nonce).lane()

    async def warm_up(self, now: datetime) -> None:
        """Do once, for nobody, what costs more the first time; call it before the first request."""
        warm_up(self._views, now)
        try:
            await self.answers.warm_up()
        except AWAY as error:
            log.warning("not warmed", action="go_on", error=type(error).__name__)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve `/r/{token}` here and everything else behind."""
        if scope["type"] != "http" or not scope["path"].startswith("/r/") or scope["path"].endswith(UNSUBSCRIBE):
            await self.others(scope, receive, send)
            return
        token = scope["path"][3:]
        match scope["method"]:
            case "POST":
                response = await self._post(scope, receive, token)
            case "GET" | "HEAD":
                response = await self._show(Request(scope), token)
            case _:
                response = problem(405, "Method not allowed")
                response.headers["allow"] = "GET, HEAD, POST"
        await response(scope, receive, send)

    # -- GET: renders, never writes (D10, H63) --

    async def _show(self, request: Request, token: str) -> Response:
        wanted = request.query_params.get("lang")
        accepted = accepted_language(request.headers)
        try:
            page = await self._find(token)
            case = await self._case(page, request.query_params) if page is not None else None
        except TooNew:
            self.metrics.count("kvittera_pages_total", state="not_ready")
            # The page reloads by itself.
            return self._html(self.pages.render_not_ready(_language(wanted, accepted)), 503)
        except (*AWAY, PutAside) as error:
            log.warning("page not read", action="refuse", error=type(error).__name__)
            self.metrics.count("kvittera_pages_total", state="unavailable")
            return self._html(self.pages.render_away(_language(wanted, accepted)), 503)
        if page is None:
            self.metrics.count("kvittera_pages_total", state="unknown")
            return self._html(self.pages.render_unknown(_language(wanted, accepted)), 404)
        language = _language(wanted, page.language, accepted)
        if request.method == "GET":
            self.looks.note(token_hash(token), face_of_link(request.query_params.get("s")))
        last = page.contested or request.query_params.get("done") == "1"
        review = await self._review(page, language) if last else None
        state, body = self._views.show(page, token, language, request.query_params, case, review=review)
        self.metrics.count("kvittera_pages_total", state=state)
        return self._html(body)

    async def _case(self, page: Page, query: Mapping[str, str]) -> CaseNotice | None:
        if self.case_of is None or not tells_what_happens_next(page, query):
            return None
        return await within(ANSWERED_WITHIN, self.case_of(page.invitation_id, page.brand or self.brand))

    async def _review(self, page: Page, language: str) -> ReviewLink | None:
        # Only what the invitation says goes in: no score can reach the offer (guarantee 9).
        try:
            link = self.reviews.link(
                self.answers.pool,
                invitation_id=page.invitation_id,
                merchant_id=page.delivery.get("merchant_id"),
                language=language,
            )
            return await within(ANSWERED_WITHIN, link)
        except AWAY as error:
            log.warning("offer not read", action="leave_out", error=type(error).__name__)
            return None

    async def _find(self, token: str) -> Page | None:
        # An expired link without an answer looks like any unknown one (security row 3).
        return await self._links.page(token, lambda page: page.open or page.revision is not None)

    async def _beside_preferences(self, page: Page | None, language: str, fields: Fields) -> "_Beside":
        """What else stands on the page with the preferences, to show it again."""
        if page is None or first(fields, "part") != "preferences":
            return {}
        return {"case": await self._case(page, {"done": "1"}), "review": await self._review(page, language)}

    def _html(self, body: bytes, status: int = 200) -> Response:
        response = Response(body, status, headers=self.pages.headers, media_type="text/html")
        return _with_retry(response)

    def too_many_guesses(self, request: HTTPConnection) -> Response:
        """For who looks at one wrong link too many."""
        self.metrics.count("kvittera_pages_total", state="too_many_guesses")
        body = self.pages.render_away(choose_language(accepted_language(request.headers)).language)
        return Response(body, 429, {**self.pages.headers, "retry-after": "60"}, "text/html")

    # -- POST: kept first, then told --

    async def _post(self, scope: Scope, receive: Receive, token: str) -> Response:
        request = Request(scope)
        fields: Fields = {}
        try:
            body = await read_post(request, receive)
            fields = fields_of(body)
            if first(fields, "part") == "opened":
                await self._posts.note_opened(token, fields)
                return Response(status_code=204, headers={"cache-control": "no-store"})
            revision = await self._posts.keep(request, token, fields, body)
        except Refused as refused:
            return await self._turn_away(refused, request, token, fields)
        if wants_json(request):
            headers = {"cache-control": "no-store", "etag": etag(revision)}
            return json_response({"revision": revision}, headers=headers)
        query = _NEXT.get(first(fields, "part"), "")
        language = first(fields, "lang")
        if language in OFFERED:
            query += ("&" if query else "?") + f"lang={quote(language)}"
        return RedirectResponse(f"/r/{token}{query}", 303, headers={"cache-control": "no-store"})

    async def _turn_away(self, refused: Refused, request: Request, token: str, fields: Fields) -> Response:
        self.metrics.count("kvittera_answers_refused_total", reason=refused.reason)
        if wants_json(request):
            response = _with_retry(problem(refused.status, refused.text))
            if refused.revision is not None:
                response.headers["etag"] = etag(refused.revision)
            return response
        # Who was not shown the page before only looks at it.
        looks = not self._posts.is_from_our_page(token, fields)
        if looks and not self.guessing.lets_look(request.scope):
            return self.too_many_guesses(request)
        language = _language(first(fields, "lang"), accepted_language(request.headers))
        try:
            page = await self.answers.page(token) if refused.reason == "locked" else await self._find(token)
            beside = await self._beside_preferences(page, language, fields)
        except (*AWAY, TooNew, PutAside):
            return self._html(self.pages.render_unavailable(language), refused.status)
        if page is not None:
            body = self._views.not_saved(page, token, language, fields, reason=refused.reason, **beside)
            return self._html(body, refused.status)
        if looks:
            self.guessing.missed(request.scope)
        # Whether the link is known must not show; only that we cannot say yet.
        waiting = refused.status == 503  # noqa: PLR2004
        body = self.pages.render_unavailable(language) if waiting else self.pages.render_unknown(language)
        return self._html(body, refused.status)


class _Beside(TypedDict, total=False):
    case: CaseNotice | None
    review: ReviewLink | None


def _language(*wanted: str | None) -> str:
    """The language of a page; a wish that cannot be met is logged, by its code alone."""
    choice = choose_language(*wanted)
    if choice.instead_of:
        log.info("language not offered", wanted=choice.instead_of, used=choice.language)
    return choice.language


def _with_retry(response: Response) -> Response:
    if response.status_code == 503:  # noqa: PLR2004  the only status that may be retried at once
        response.headers["retry-after"] = "2"
    return response
