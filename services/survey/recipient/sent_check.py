"""The page "did we send this?": a person who doubts a message asks here, without opening its link (E13)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import asyncpg
import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.chassis.bounded_waiting import ANSWERED_WITHIN, within
from services.chassis.message_checks import check_digest, code_of
from services.chassis.metrics import Metrics
from services.chassis.peers import peer_of
from services.chassis.postgres import Pool, named_sql
from services.chassis.sealing import Seal
from services.survey.answers.responses import Rejected
from services.survey.bodies import FORM, read_body
from services.survey.languages import accepted_language, choose_language
from services.survey.recipient.forms import parse_form
from services.survey.recipient.guesses import Guesses
from services.survey.recipient.links import CaughtUp
from services.survey.recipient.public_pages import PublicPages, SentState

log = structlog.get_logger()
GUESSES_PER_MINUTE: Final = 10
_LONGEST: Final = 200


@dataclass(frozen=True, slots=True)
class SentCheck:
    """`/sent`: GET shows the form, POST the answer; nothing is written, and a wrong pair has one answer only.

    Attributes:
        caught_up: whether every invitation that Kafka holds at this moment is known here.
        seconds: a clock that never goes back.
    """

    pool: Pool
    seal: Seal
    pages: PublicPages
    metrics: Metrics
    public_url: str
    trusted_proxies: int
    caught_up: CaughtUp
    seconds: Callable[[], float]
    guesses: Guesses = field(default_factory=lambda: Guesses(GUESSES_PER_MINUTE))
    sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.survey", "public.sql"))

    def routes(self) -> list[Route]:
        """GET and POST."""
        return [Route("/sent", self._show, methods=["GET"]), Route("/sent", self._check, methods=["POST"])]

    async def _show(self, request: Request) -> Response:
        return self._page(request, SentState.ASK)

    async def _check(self, request: Request) -> Response:
        peer = peer_of(request.scope, self.trusted_proxies)
        if not self.guesses.may_look(peer, self.seconds()):
            return self._page(request, SentState.TOO_OFTEN, 429)
        try:
            number, code = await _asked(request)
        except (Rejected, TimeoutError):
            return self._page(request, SentState.ASK, 422)
        digest = check_digest(self.seal, number, code)
        try:
            ours = await self._is_ours(digest)
            if not ours:
                if not await self.caught_up():
                    return self._page(request, SentState.AWAY, 503)
                ours = await self._is_ours(digest)  # it may have come since
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            log.warning("not checked", action="refuse", error=type(error).__name__)
            return self._page(request, SentState.AWAY, 503)
        if not ours:
            self.guesses.miss(peer, self.seconds())
        return self._page(request, SentState.OURS if ours else SentState.NOT_CONFIRMED)

    async def _is_ours(self, digest: bytes) -> bool:
        return bool(await within(ANSWERED_WITHIN, self.pool.fetchval(self.sql["message_is_ours"], digest)))

    def _page(self, request: Request, state: SentState, status: int = 200) -> Response:
        self.metrics.count("kvittera_pages_total", state=state.value)
        accepted = accepted_language(request.headers)
        language = choose_language(request.query_params.get("lang"), accepted).language
        body = self.pages.render_sent(language, state, host=urlsplit(self.public_url).netloc)
        headers = {**self.pages.headers, **({"retry-after": "60"} if status in {429, 503} else {})}
        return Response(body, status, headers, "text/html")


async def _asked(request: Request) -> tuple[str, str]:
    """Number and code; who pastes the whole link means its end."""
    fields = parse_form(await read_body(request.headers, request.receive, FORM))
    number, code = (fields.get(name, [""])[0].strip() for name in ("number", "code"))
    if not number or not code or max(len(number), len(code)) > _LONGEST:
        raise Rejected("body", "must have a number and a code")
    return number, code_of(code.partition("?")[0].rstrip("/."))
