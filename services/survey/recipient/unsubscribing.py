"""Unsubscribing by one click from a mail program, or by hand on a page (RFC 8058, C15)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.chassis.bounded_waiting import ANSWERED_WITHIN, within
from services.chassis.metrics import Metrics
from services.chassis.postgres import named_sql
from services.survey.answers.handlers import Answers
from services.survey.answers.recorded import Page
from services.survey.answers.responses import token_hash
from services.survey.languages import accepted_language, choose_language
from services.survey.recipient.links import Links, PutAside, TooNew
from services.survey.recipient.posting import AWAY
from services.survey.recipient.public_pages import PublicPages
from services.survey.recipient.rendering import SurveyPages

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class UnsubscribeRoutes:
    """`/r/{token}/unsubscribe`: GET asks and writes nothing, for scanners open links; POST stops all questions.

    The token is all the proof there is, and what a POST carries does not matter: mail programs send one field,
    as one of two kinds of form, without cookies.
    """

    answers: Answers
    links: Links
    pages: PublicPages
    notices: SurveyPages
    metrics: Metrics
    brand: str
    sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.survey", "api.sql", "public.sql"))

    def routes(self) -> list[Route]:
        """GET and POST."""
        return [Route("/r/{token}/unsubscribe", self._answer, methods=["GET", "POST"])]

    async def _answer(self, request: Request) -> Response:
        token = request.path_params["token"]
        accepted = accepted_language(request.headers)
        wanted = request.query_params.get("lang")
        try:
            page = await self.links.page(token, lambda page: page.named)
            if page is None:
                return self._notice(self.notices.render_unknown(choose_language(wanted, accepted).language), 404)
            language = choose_language(wanted, page.language, accepted).language
            if request.method == "POST":
                await within(ANSWERED_WITHIN, self._stop(token))
        except TooNew:
            return self._notice(self.notices.render_not_ready(choose_language(wanted, accepted).language), 503)
        except (*AWAY, PutAside) as error:
            log.warning("not unsubscribed", action="refuse", error=type(error).__name__)
            return self._notice(self.notices.render_away(choose_language(wanted, accepted).language), 503)
        never = page.preference is not None and page.preference.never
        return self._shown(page, language, done=never or request.method == "POST")

    async def _stop(self, token: str) -> None:
        person_id = await self.answers.pool.fetchval(self.sql["person_of_link"], token_hash(token))
        if person_id is not None:
            await self.answers.pool.execute(self.sql["stop_person"], person_id, self.answers.now(), "unsubscribe")
            self.answers.relay.wake()

    def _shown(self, page: Page, language: str, *, done: bool) -> Response:
        self.metrics.count("kvittera_pages_total", state="unsubscribed" if done else "unsubscribe")
        body = self.pages.render_unsubscribe(language, brand=page.brand or self.brand, done=done)
        return Response(body, headers=dict(self.pages.headers), media_type="text/html")

    def _notice(self, body: bytes, status: int) -> Response:
        headers = {**self.notices.headers, **({"retry-after": "2"} if status == 503 else {})}  # noqa: PLR2004
        return Response(body, status, headers, "text/html")
