"""The survey over HTTP. GET renders and never writes; POST keeps the answer and says 2xx only after the commit."""

import base64
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

import asyncpg
import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from services.chassis.failures import Overloaded, is_transient
from services.chassis.http import json_response, problem
from services.chassis.metrics import Metrics
from services.chassis.sealing import Seal
from services.survey.bodies import FORM, read_body
from services.survey.definitions import REASONS, Definitions
from services.survey.handlers import Answers, Page
from services.survey.rendering import (
    LANGUAGES,
    ContestedPage,
    DonePage,
    LockedPage,
    QuestionPage,
    SavedPage,
    SurveyPages,
    choose_language,
)
from services.survey.responses import (
    Rejected,
    looks_like_token,
    parse_form,
    read_answer,
)

log = structlog.get_logger()
_LANGUAGES = frozenset(LANGUAGES)
_SCORES = {"1", "2", "3", "4", "5"}
_AWAY = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError)
"""PostgreSQL cannot be asked now."""
Fields = dict[str, list[str]]


class Refused(Exception):
    """The answer is not kept; `reason` is for the metrics, `text` for programs."""

    def __init__(self, reason: str, status: int, text: str) -> None:
        super().__init__(text)
        self.reason = reason
        self.status = status
        self.text = text


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

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve `/r/{token}` here and everything else behind."""
        if scope["type"] != "http" or not scope["path"].startswith("/r/"):
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
        except _AWAY as error:
            log.warning("page not read", action="refuse", error=type(error).__name__)
            self.metrics.count("kvittera_pages_total", state="unavailable")
            return self._html(self.pages.render_unavailable(self._language(wanted, accepted)), 503)
        if page is None:
            return self._unknown(self._language(wanted, accepted))
        language = self._language(wanted, page.language, accepted)
        state, body = self._render(page, token, language, request)
        self.metrics.count("kvittera_pages_total", state=state)
        return self._html(body)

    async def _find(self, token: str) -> Page | None:
        if not looks_like_token(token):
            return None
        page = await self.answers.page(token)
        # An expired link without an answer looks like any unknown one (security row 3).
        return None if page is not None and not page.open and page.revision is None else page

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

    def _render(self, page: Page, token: str, language: str, request: Request) -> tuple[str, bytes]:
        about = self._about(page, token, language)
        if not page.open:
            return "locked", self.pages.render_locked(LockedPage(**about, score=page.score))
        if page.contested:
            return "contested", self.pages.render_contested(ContestedPage(**about, comment_saved=page.commented))
        if page.score is None or page.revision is None:
            chosen = request.query_params.get("s")
            preselected = int(chosen) if chosen in _SCORES else None
            return "question", self.pages.render_question(QuestionPage(**about, preselected=preselected))
        stored: dict[str, Any] = {
            "score": page.score,
            "revision": page.revision,
            "reasons": page.reasons,
            "comment_saved": page.commented,
        }
        editing = request.query_params.get("edit") == "1"
        if request.query_params.get("done") == "1" and not editing:
            kept = request.query_params.get("kept") == "preferences"
            done = DonePage(**about, **stored, editable_until=page.expires_at, preferences_saved=kept)
            return "done", self.pages.render_done(done)
        return "saved", self.pages.render_saved(SavedPage(**about, **stored))

    def _language(self, *wanted: str | None) -> str:
        """The language of a page; a wish that cannot be met is logged, by its code alone."""
        choice = choose_language(*wanted)
        if choice.instead_of:
            log.info("language not offered", wanted=choice.instead_of, used=choice.language)
        return choice.language

    def _about(self, page: Page, token: str, language: str) -> dict[str, Any]:
        d = page.delivery
        return {
            "token": token,
            "nonce": self._nonce(token),
            "language": language,
            "definition": self.definitions.choose(None, d.get("touchpoint", "home"), d.get("exceptions", ())),
            "place": d.get("service_point"),
            "carrier": page.brand or self.brand,
            "merchant_name": d.get("merchant_name"),
            "method": d["method"],
            "occurred_at": datetime.fromisoformat(d["occurred_at"]),
            "zone": d["zone"],
            "now": page.now,
        }

    # -- POST: the one thing that writes --

    async def _post(self, scope: Scope, receive: Receive, token: str) -> Response:
        request = Request(scope)
        fields: Fields = {}
        try:
            fields = await _read_form(request, receive)
            revision = await self._keep(token, fields)
        except Refused as refused:
            return await self._turn_away(refused, request, token, fields)
        if _wants_json(request):
            return json_response({"revision": revision}, headers={"cache-control": "no-store"})
        query = {"details": "?done=1", "preferences": "?done=1&kept=preferences"}.get(_first(fields, "part"), "")
        language = _first(fields, "lang")
        if language in _LANGUAGES:
            query += ("&" if query else "?") + f"lang={quote(language)}"
        return RedirectResponse(f"/r/{token}{query}", 303, headers={"cache-control": "no-store"})

    async def _keep(self, token: str, fields: Fields) -> int:
        """Keep the posted answer; returns its revision after the commit, or raises Refused."""
        if not hmac.compare_digest(_first(fields, "nonce").encode(), self._nonce(token).encode()):
            raise Refused("nonce", 403, "The answer did not come from our page; open the link again")
        if not looks_like_token(token):
            raise Refused("unknown", 404, "No such link")
        try:
            recorded = await self.answers.record(token, read_answer(fields, _LANGUAGES))
        except Rejected as error:
            raise Refused(error.field, 422, f"{error.field} {error.rule}") from None
        except Overloaded:
            raise Refused("overloaded", 503, "Too many answers at once; try again in a moment") from None
        except _AWAY as error:
            log.warning("answer not kept", action="refuse", error=type(error).__name__, transient=is_transient(error))
            raise Refused("storage", 503, "The answer is not saved yet; try again") from None
        if not recorded.known and not self.caught_up():
            raise Refused("not_ready", 503, "This link is newer than this server; try again in a moment")
        if not recorded.known:
            raise Refused("unknown", 404, "No such link")
        if recorded.revision is None:
            raise Refused("locked", 423, "This answer can no longer be changed")
        return recorded.revision

    async def _turn_away(self, refused: Refused, request: Request, token: str, fields: Fields) -> Response:
        self.metrics.count("kvittera_answers_refused_total", reason=refused.reason)
        if _wants_json(request):
            return _with_retry(problem(refused.status, refused.text))
        language = self._language(_first(fields, "lang"), _accepted_language(request))
        try:
            page = await self.answers.page(token) if refused.reason == "locked" else await self._find(token)
        except _AWAY:
            return self._html(self.pages.render_unavailable(language), refused.status)
        if page is not None:
            return self._html(self._not_saved(page, token, language, fields), refused.status)
        # Whether the link is known must not show; only that we cannot say yet.
        waiting = refused.status == 503  # noqa: PLR2004
        body = self.pages.render_unavailable(language) if waiting else self.pages.render_unknown(language)
        return self._html(body, refused.status)

    def _not_saved(self, page: Page, token: str, language: str, fields: Fields) -> bytes:
        """The page that the answer was posted from, with what was chosen and written, or why it cannot change."""
        about = self._about(page, token, language)
        if not page.open:
            return self.pages.render_locked(LockedPage(**about, score=page.score))
        if page.contested:
            return self.pages.render_unavailable(language)
        if _first(fields, "part") == "details" and page.score is not None and page.revision is not None:
            ticked = tuple(r for r in fields.get("reasons", []) if r in REASONS)
            draft = _first(fields, "comment")
            stored: dict[str, Any] = {"score": page.score, "revision": page.revision, "comment_saved": page.commented}
            return self.pages.render_save_failed(SavedPage(**about, **stored, reasons=ticked, comment_draft=draft))
        chosen = _first(fields, "score")
        preselected = int(chosen) if chosen in _SCORES else page.score
        return self.pages.render_save_failed(QuestionPage(**about, preselected=preselected))

    def _nonce(self, token: str) -> str:
        return base64.urlsafe_b64encode(self.seal.pseudonym(f"page {token}")[:12]).decode()


def _first(fields: Fields, name: str) -> str:
    return fields.get(name, [""])[0]


def _wants_json(request: Request) -> bool:
    return "application/json" in request.headers.get("accept", "")


def _accepted_language(request: Request) -> str:
    return request.headers.get("accept-language", "")[:2]


def _with_retry(response: Response) -> Response:
    if response.status_code == 503:  # noqa: PLR2004  the only status that may be retried at once
        response.headers["retry-after"] = "2"
    return response


async def _read_form(request: Request, receive: Receive) -> Fields:
    try:
        return parse_form(await read_body(request.headers, receive, FORM))
    except Rejected as error:
        raise Refused(error.field, 413 if error.field == "size" else 422, f"{error.field} {error.rule}") from None
    except TimeoutError:
        raise Refused("slow", 408, "The request took too long") from None
