"""What is posted to a recipient's page: read, checked and kept. The one thing on these pages that writes."""

import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import asyncpg
import structlog
from starlette.requests import Request
from starlette.types import Receive

from services.chassis.failures import Overloaded, is_transient
from services.chassis.metrics import Metrics
from services.survey.answers.handlers import Answers
from services.survey.answers.recorded import Circumstances, Outcome, Recorded
from services.survey.answers.responses import Rejected, attempt, looks_like_token, token_hash
from services.survey.bodies import FORM, read_body
from services.survey.conditions import idempotency_key, only_if
from services.survey.languages import LANGUAGES
from services.survey.recipient.forms import HONEYPOT, Fields, parse_form, read_answer, read_preference
from services.survey.recipient.links import CaughtUp
from services.survey.recipient.post_spans import tell_post
from services.survey.recipient.suspicion import RecentLooks
from services.survey.recipient.views import first
from services.survey.refusals import Refused

log = structlog.get_logger()
OFFERED: Final = frozenset(LANGUAGES)
"""The languages that a page can be in."""
AWAY: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, Overloaded)
"""PostgreSQL cannot be asked now."""


@dataclass(frozen=True, slots=True)
class Posts:
    """Keeps what is posted; `nonce` is what the page of a token holds, `caught_up` says that no link is too new."""

    answers: Answers
    nonce: Callable[[str], str]
    looks: RecentLooks
    metrics: Metrics
    caught_up: CaughtUp

    async def keep(self, request: Request, token: str, fields: Fields, body: bytes) -> int:
        """Keep an answer or preferences; returns the revision after the commit.

        Raises:
            Refused: nothing was kept, or it is not known yet (503).
        """
        began = time.time_ns()
        self._check_origin(token, fields)
        try:
            recorded = await self._record(request, token, fields, body)
        except Rejected as error:
            raise Refused(error.field, 422, f"{error.field} {error.rule}") from None
        except Overloaded:
            raise Refused("overloaded", 503, "Too many answers at once; try again in a moment") from None
        except AWAY as error:
            log.warning("answer not kept", action="refuse", error=type(error).__name__, transient=is_transient(error))
            raise Refused("storage", 503, "The answer is not saved yet; try again") from None
        tell_post(self.answers.traces, recorded, began)
        return await self._revision(token, recorded)

    async def note_opened(self, token: str, fields: Fields) -> None:
        """Note that a person touched the page; whether the link is known does not show.

        Raises:
            Refused: it did not come from our page.
        """
        self._check_origin(token, fields)
        if self.looks.suspicion(token_hash(token), by_script=False, honeypot=first(fields, HONEYPOT)) is not None:
            return
        try:
            await self.answers.note_opened(token)
        except AWAY as error:
            log.warning("opened page not noted", action="leave_out", error=type(error).__name__)

    def is_from_our_page(self, token: str, fields: Fields) -> bool:
        """Whether a form holds what only the page of this link does."""
        return hmac.compare_digest(first(fields, "nonce").encode(), self.nonce(token).encode())

    def _check_origin(self, token: str, fields: Fields) -> None:
        if not self.is_from_our_page(token, fields):
            raise Refused("nonce", 403, "The answer did not come from our page; open the link again")
        if not looks_like_token(token):
            raise Refused("unknown", 404, "No such link")

    async def _record(self, request: Request, token: str, fields: Fields, body: bytes) -> Recorded:
        if first(fields, "part") == "preferences":
            preferred = await self.answers.prefer(token, read_preference(fields))
            if preferred is None:
                raise Refused("nobody", 409, "This link leads to no person whose preferences could be kept")
            return preferred
        answer = read_answer(fields, OFFERED)
        key = idempotency_key(request)
        looks_like = self.looks.suspicion(
            token_hash(token), by_script=wants_json(request), honeypot=first(fields, HONEYPOT)
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

    async def _may_become_known(self, token: str) -> bool:
        if not await self.caught_up():
            return True
        try:
            return await self.answers.is_unread(token_hash(token))
        except AWAY:
            return True

    async def _revision(self, token: str, recorded: Recorded) -> int:
        match recorded.outcome:
            case Outcome.UNKNOWN if await self._may_become_known(token):
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


async def read_post(request: Request, receive: Receive) -> bytes:
    """The body of a form.

    Raises:
        Refused: it is too large, too slow or no form.
    """
    try:
        return await read_body(request.headers, receive, FORM)
    except Rejected as error:
        raise Refused(error.field, 413 if error.field == "size" else 422, f"{error.field} {error.rule}") from None
    except TimeoutError:
        raise Refused("slow", 408, "The request took too long") from None


def fields_of(body: bytes) -> Fields:
    """The fields of a form.

    Raises:
        Refused: they are not written as forms are.
    """
    try:
        return parse_form(body)
    except Rejected as error:
        raise Refused(error.field, 422, f"{error.field} {error.rule}") from None


def wants_json(request: Request) -> bool:
    """Whether a program asks, the page's own script among them."""
    return "application/json" in request.headers.get("accept", "")
