"""The survey over HTTP. GET renders and never writes; POST keeps the answer and says 2xx only after the commit."""

import hmac
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypedDict
from urllib.parse import quote

import asyncpg
import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from services.chassis.failures import Overloaded, is_transient
from services.chassis.http import json_response, problem
from services.chassis.http_protocol import Lane
from services.chassis.metrics import Metrics
from services.chassis.sealing import Seal
from services.survey.answers.handlers import Answers
from services.survey.answers.recorded import Circumstances, Outcome, Page, Recorded
from services.survey.answers.responses import Rejected, attempt, looks_like_token, token_hash
from services.survey.bodies import FORM, read_body
from services.survey.conditions import etag, idempotency_key, only_if
from services.survey.definitions import Definitions
from services.survey.recipient.first_tap import FirstTap
from services.survey.recipient.forms import HONEYPOT, Fields, parse_form, read_answer, read_preference
from services.survey.recipient.page_models import CaseNotice, ReviewLink
from services.survey.recipient.plain_look import PlainLook
from services.survey.recipient.rendering import LANGUAGES, SurveyPages, choose_language
from services.survey.recipient.suspicion import RecentLooks
from services.survey.recipient.views import Views, face_of_link, first, tells_what_happens_next
from services.survey.refusals import Refused
from services.survey.reviews.stored import Reviews

log = structlog.get_logger()
_LANGUAGES = frozenset(LANGUAGES)
UNSUBSCRIBE = "/unsubscribe"
"""How the address ends that is behind the hot path."""
_AWAY = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, Overloaded)
"""PostgreSQL cannot be asked now."""

CaseOf = Callable[[uuid.UUID, str], Awaitable[CaseNotice | None]]
"""What the page says about the case of a response; the name is that of the carrier."""


@dataclass(slots=True)
class SurveyRoutes:
    """The recipient's pages, as an ASGI layer in front of the other routes: this is the hot path."""

    answers: Answers
    definitions: Definitions
    pages: SurveyPages
    seal: Seal
    metrics: Metrics
    caught_up: Callable[[], bool]
    brand: str
    others: ASGIApp
    case_of: CaseOf | None = None
    reviews: Reviews = field(default_factory=Reviews.none)
    looks: RecentLooks = field(default_factory=lambda: RecentLooks(time.monotonic))
    _views: Views = field(init=False)

    def __post_init__(self) -> None:
        self._views = Views(self.pages, self.definitions, self.seal, self.brand)

    def lanes(self, lets_look: Callable[[Scope], bool]) -> Sequence[Lane]:
        """The fast lanes of the HTTP server for a look at a page and the first tap; `lets_look` may refuse looks."""
        look = PlainLook(self.answers, self._views, self.pages.headers, self.looks, self.metrics, lets_look)
        return look.lane(), FirstTap(self.answers, self._views.nonce).lane()

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
        accepted = _accepted_language(request)
        try:
            page = await self._find(token)
            case = await self._case(page, request.query_params) if page is not None else None
        except _AWAY as error:
            log.warning("page not read", action="refuse", error=type(error).__name__)
            self.metrics.count("kvittera_pages_total", state="unavailable")
            return self._html(self.pages.render_unavailable(_language(wanted, accepted)), 503)
        if page is None:
            return self._unknown(_language(wanted, accepted))
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
        return await self.case_of(page.invitation_id, page.brand or self.brand)

    async def _review(self, page: Page, language: str) -> ReviewLink | None:
        # Only what the invitation says goes in: no score can reach the offer (guarantee 9).
        try:
            return await self.reviews.link(
                self.answers.pool,
                invitation_id=page.invitation_id,
                merchant_id=page.delivery.get("merchant_id"),
                language=language,
            )
        except _AWAY as error:
            log.warning("offer not read", action="leave_out", error=type(error).__name__)
            return None

    async def _find(self, token: str) -> Page | None:
        if not looks_like_token(token):
            return None
        page = await self.answers.page(token)
        # An expired link without an answer looks like any unknown one (security row 3).
        return None if page is not None and not page.open and page.revision is None else page

    async def _beside_preferences(self, page: Page | None, language: str, fields: Fields) -> "_Beside":
        """What else stands on the page with the preferences, to show it again."""
        if page is None or first(fields, "part") != "preferences":
            return {}
        return {"case": await self._case(page, {"done": "1"}), "review": await self._review(page, language)}

    def _unknown(self, language: str) -> Response:
        if not self.caught_up():
            # The message was quicker than the invitation: the page reloads by itself.
            self.metrics.count("kvittera_pages_total", state="not_ready")
            return self._html(self.pages.render_not_ready(language), 503)
        self.metrics.count("kvittera_pages_total", state="unknown")
        return self._html(self.pages.render_unknown(language), 404)

    def _html(self, body: bytes, status: int = 200) -> Response:
        response = Response(body, status, headers=self.pages.headers, media_type="text/html")
        return _with_retry(response)

    # -- POST: the one thing that writes --

    async def _post(self, scope: Scope, receive: Receive, token: str) -> Response:
        request = Request(scope)
        fields: Fields = {}
        try:
            body = await _read(request, receive)
            fields = _parse(body)
            if first(fields, "part") == "opened":
                await self._note_opened(token, fields)
                return Response(status_code=204, headers={"cache-control": "no-store"})
            revision = await self._keep(request, token, fields, body)
        except Refused as refused:
            return await self._turn_away(refused, request, token, fields)
        if _wants_json(request):
            headers = {"cache-control": "no-store", "etag": etag(revision)}
            return json_response({"revision": revision}, headers=headers)
        query = {"details": "?done=1", "preferences": "?done=1&kept=preferences"}.get(first(fields, "part"), "")
        language = first(fields, "lang")
        if language in _LANGUAGES:
            query += ("&" if query else "?") + f"lang={quote(language)}"
        return RedirectResponse(f"/r/{token}{query}", 303, headers={"cache-control": "no-store"})

    async def _keep(self, request: Request, token: str, fields: Fields, body: bytes) -> int:
        """Keep what is posted; returns its revision after the commit, or raises Refused."""
        self._check_origin(token, fields)
        try:
            recorded = await self._record(request, token, fields, body)
        except Rejected as error:
            raise Refused(error.field, 422, f"{error.field} {error.rule}") from None
        except Overloaded:
            raise Refused("overloaded", 503, "Too many answers at once; try again in a moment") from None
        except _AWAY as error:
            log.warning("answer not kept", action="refuse", error=type(error).__name__, transient=is_transient(error))
            raise Refused("storage", 503, "The answer is not saved yet; try again") from None
        return self._revision(recorded)

    def _check_origin(self, token: str, fields: Fields) -> None:
        if not hmac.compare_digest(first(fields, "nonce").encode(), self._views.nonce(token).encode()):
            raise Refused("nonce", 403, "The answer did not come from our page; open the link again")
        if not looks_like_token(token):
            raise Refused("unknown", 404, "No such link")

    async def _note_opened(self, token: str, fields: Fields) -> None:
        """Note that a person touched the page; whether the link is known does not show."""
        self._check_origin(token, fields)
        if self.looks.suspicion(token_hash(token), by_script=False, honeypot=first(fields, HONEYPOT)) is not None:
            return
        try:
            await self.answers.note_opened(token)
        except _AWAY as error:
            log.warning("opened page not noted", action="leave_out", error=type(error).__name__)

    async def _record(self, request: Request, token: str, fields: Fields, body: bytes) -> Recorded:
        if first(fields, "part") == "preferences":
            preferred = await self.answers.prefer(token, read_preference(fields))
            if preferred is None:
                raise Refused("nobody", 409, "This link leads to no person whose preferences could be kept")
            return preferred
        answer = read_answer(fields, _LANGUAGES)
        key = idempotency_key(request)
        looks_like = self.looks.suspicion(
            token_hash(token), by_script=_wants_json(request), honeypot=first(fields, HONEYPOT)
        )
        how = Circumstances(
            suspected_machine=looks_like is not None,
            attempt=None if key is None else attempt(key, body),
            only_if=only_if(request),
        )
        recorded = await self.answers.record(token, answer, how)
        if looks_like is not None and recorded.outcome is Outcome.KEPT:
            self.metrics.count("kvittera_answers_suspected_total", sign=looks_like)
        return recorded

    def _revision(self, recorded: Recorded) -> int:
        match recorded.outcome:
            case Outcome.UNKNOWN if not self.caught_up():
                raise Refused("not_ready", 503, "This link is newer than this server; try again in a moment")
            case Outcome.UNKNOWN:
                raise Refused("unknown", 404, "No such link")
            case Outcome.LOCKED:
                raise Refused("locked", 423, "This answer can no longer be changed")
            case Outcome.STALE:
                raise Refused("stale", 412, "The answer has changed since; read it again", recorded.revision)
            case Outcome.REUSED:
                raise Refused("reused", 422, "This Idempotency-Key came before with another body")
        assert recorded.revision is not None
        return recorded.revision

    async def _turn_away(self, refused: Refused, request: Request, token: str, fields: Fields) -> Response:
        self.metrics.count("kvittera_answers_refused_total", reason=refused.reason)
        if _wants_json(request):
            response = _with_retry(problem(refused.status, refused.text))
            if refused.revision is not None:
                response.headers["etag"] = etag(refused.revision)
            return response
        language = _language(first(fields, "lang"), _accepted_language(request))
        try:
            page = await self.answers.page(token) if refused.reason == "locked" else await self._find(token)
            beside = await self._beside_preferences(page, language, fields)
        except _AWAY:
            return self._html(self.pages.render_unavailable(language), refused.status)
        if page is not None:
            body = self._views.not_saved(page, token, language, fields, reason=refused.reason, **beside)
            return self._html(body, refused.status)
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


def _wants_json(request: Request) -> bool:
    return "application/json" in request.headers.get("accept", "")


def _accepted_language(request: Request) -> str:
    return request.headers.get("accept-language", "")[:2]


def _with_retry(response: Response) -> Response:
    if response.status_code == 503:  # noqa: PLR2004  the only status that may be retried at once
        response.headers["retry-after"] = "2"
    return response


async def _read(request: Request, receive: Receive) -> bytes:
    try:
        return await read_body(request.headers, receive, FORM)
    except Rejected as error:
        raise Refused(error.field, 413 if error.field == "size" else 422, f"{error.field} {error.rule}") from None
    except TimeoutError:
        raise Refused("slow", 408, "The request took too long") from None


def _parse(body: bytes) -> Fields:
    try:
        return parse_form(body)
    except Rejected as error:
        raise Refused(error.field, 422, f"{error.field} {error.rule}") from None
