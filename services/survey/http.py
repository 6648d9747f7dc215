"""The survey over HTTP. GET renders and never writes; POST keeps the answer and says 2xx only after the commit."""

import asyncio
import base64
import hmac
from collections.abc import Awaitable, Callable, MutableMapping
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
from services.survey.handlers import Answers, Page, Recorded
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
    LONGEST_BODY,
    Answer,
    Rejected,
    looks_like_token,
    parse_form,
    read_answer,
)

log = structlog.get_logger()
_LANGUAGES = frozenset(LANGUAGES)
_BODY_SECONDS = 10.0
_SCORES = {"1", "2", "3", "4", "5"}


@dataclass(slots=True)
class SurveyRoutes:
    """The recipient's pages, as an ASGI layer in front of the other routes: this is the hot path."""

    answers: Answers
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
        await response(scope, receive, send)

    # -- GET: renders, never writes (D10, H63) --

    async def _show(self, request: Request, token: str) -> Response:
        wanted = request.query_params.get("lang")
        accepted = request.headers.get("accept-language", "")[:2]
        page = await self._find(token)
        if page is None:
            return self._unknown(choose_language(wanted, accepted))
        language = choose_language(wanted, page.language, accepted)
        state, body = self._render(page, token, language, request)
        self.metrics.count("kvittera_pages_total", state=state)
        return Response(body, headers=self.pages.headers, media_type="text/html")

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
            headers = {**self.pages.headers, "retry-after": "2"}
            return Response(self.pages.render_not_ready(language), 503, headers=headers, media_type="text/html")
        self.metrics.count("kvittera_pages_total", state="unknown")
        return Response(self.pages.render_unknown(language), 404, headers=self.pages.headers, media_type="text/html")

    def _render(self, page: Page, token: str, language: str, request: Request) -> tuple[str, bytes]:
        d = page.delivery
        about: dict[str, Any] = {
            "token": token,
            "nonce": self._nonce(token),
            "language": language,
            "carrier": page.brand or self.brand,
            "merchant_name": d.get("merchant_name"),
            "method": d["method"],
            "occurred_at": datetime.fromisoformat(d["occurred_at"]),
            "zone": d["zone"],
            "now": page.now,
        }
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
        if request.query_params.get("done") == "1":
            return "done", self.pages.render_done(DonePage(**about, **stored, editable_until=page.expires_at))
        return "saved", self.pages.render_saved(SavedPage(**about, **stored))

    # -- POST: the one thing that writes --

    async def _post(self, scope: Scope, receive: Receive, token: str) -> Response:
        headers = {k: v for k, v in scope["headers"] if k in {b"content-length", b"accept", b"content-type"}}
        try:
            body = await _read_body(headers, receive)
            fields = parse_form(body)
            answer = read_answer(fields, _LANGUAGES)
        except Rejected as error:
            return self._refuse(error.field, 413 if error.field == "size" else 422, f"{error.field} {error.rule}")
        except TimeoutError:
            return self._refuse("slow", 408, "The request took too long")
        if not looks_like_token(token):
            return self._refuse("unknown", 404, "No such link")
        if not hmac.compare_digest(fields.get("nonce", [""])[0], self._nonce(token)):
            return self._refuse("nonce", 403, "The answer did not come from our page; open the link again")
        recorded = await self._record(token, answer)
        return recorded if isinstance(recorded, Response) else self._reply(recorded, headers, token, fields)

    async def _record(self, token: str, answer: Answer) -> Recorded | Response:
        try:
            return await self.answers.record(token, answer)
        except Overloaded:
            return self._refuse("overloaded", 503, "Too many answers at once; try again in a moment")
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            log.warning("answer not kept", action="refuse", error=type(error).__name__, transient=is_transient(error))
            return self._refuse("storage", 503, "The answer is not saved yet; try again")

    def _reply(
        self,
        recorded: Recorded,
        headers: MutableMapping[bytes, bytes],
        token: str,
        fields: dict[str, list[str]],
    ) -> Response:
        if not recorded.known:
            if not self.caught_up():
                return self._refuse("not_ready", 503, "This link is newer than this server; try again in a moment")
            return self._refuse("unknown", 404, "No such link")
        if recorded.revision is None:
            return self._refuse("locked", 423, "This answer can no longer be changed")
        if b"application/json" in headers.get(b"accept", b""):
            return json_response({"revision": recorded.revision}, headers={"cache-control": "no-store"})
        query = "?done=1" if fields.get("part") == ["details"] else ""
        language = fields.get("lang", [""])[0]
        if language in _LANGUAGES:
            query += ("&" if query else "?") + f"lang={quote(language)}"
        return RedirectResponse(f"/r/{token}{query}", 303, headers={"cache-control": "no-store"})

    def _refuse(self, reason: str, status: int, text: str) -> Response:
        self.metrics.count("kvittera_answers_refused_total", reason=reason)
        response = problem(status, text)
        if status == 503:  # noqa: PLR2004  the only status that may be retried at once
            response.headers["retry-after"] = "2"
        return response

    def _nonce(self, token: str) -> str:
        return base64.urlsafe_b64encode(self.seal.pseudonym(f"page {token}")[:12]).decode()


async def _read_body(headers: MutableMapping[bytes, bytes], receive: Callable[[], Awaitable[Any]]) -> bytes:
    """The body, within 16 KiB and ten seconds (security rows 10 and 11)."""
    if not headers.get(b"content-type", b"").lower().startswith(b"application/x-www-form-urlencoded"):
        raise Rejected("content-type", "must be application/x-www-form-urlencoded")
    if int(headers.get(b"content-length", b"0") or 0) > LONGEST_BODY:
        raise Rejected("size", "is over 16 KiB")
    parts: list[bytes] = []
    size = 0
    async with asyncio.timeout(_BODY_SECONDS):
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Rejected("body", "ended early")
            part = message.get("body", b"")
            size += len(part)
            if size > LONGEST_BODY:
                raise Rejected("size", "is over 16 KiB")
            parts.append(part)
            if not message.get("more_body"):
                return b"".join(parts)
