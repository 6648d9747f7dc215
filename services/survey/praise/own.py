"""What recipients wrote in praise of a driver, for that driver's own page and for nobody else (E6, C17)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from jinja2 import Template
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.chassis.postgres import Pool
from services.chassis.staff import Gate
from services.chassis.staff.drivers import driver_behind
from services.chassis.web import SCORES, face, page_headers, page_templates
from services.survey.comments.languages import Languages
from services.survey.comments.texts import Texts
from services.survey.praise.queue_page import MASK_WORDS
from services.survey.praise.scrub import Piece, scrub
from services.survey.praise.store import SQL

DAYS: Final = 28
_MOST: Final = 20
_HEADERS: Final = page_headers()
"""Of a page of its own, which it is not: opened as one it may load and run nothing."""


@dataclass(frozen=True, slots=True)
class Said:
    """One scrubbed comment with its score, and the day of the delivery without the time."""

    score: int
    day: str
    pieces: tuple[Piece, ...]
    language: str | None


@dataclass(frozen=True, slots=True)
class OwnPraise:
    """`/praise/mine`: a fragment of HTML with the newest praise, as soon as it is given.

    Only scores of 4 and 5 are here. What was declined, disputed or withdrawn is not.
    """

    pool: Pool
    texts: Texts
    languages: Languages
    gate: Gate
    now: Callable[[], datetime]

    def routes(self) -> list[Route]:
        """The route."""
        return [Route("/praise/mine", self.show)]

    async def show(self, request: Request) -> Response:
        """The praise of the driver who is signed in."""
        driver = driver_behind(self.gate, request)
        if isinstance(driver, Response):
            return driver
        body = _fragment(await self.of(driver))
        return Response(body, headers=_HEADERS, media_type="text/html")

    async def of(self, driver: str) -> Sequence[Said]:
        """The newest comments about a driver's deliveries that can be read."""
        async with self.pool.acquire() as connection:
            rows = await connection.fetch(SQL["said_of_driver"], driver, self.now() - timedelta(days=DAYS), _MOST)
            texts = await self.texts.of(connection, [r["praise_id"] for r in rows])
        said = []
        for row in rows:
            comment = texts.get(row["praise_id"])
            # Another comment than the one that was taken up as praise has not been looked at yet.
            if comment is None or comment.digest != row["comment_digest"]:
                continue
            day = row["occurred_at"].astimezone(ZoneInfo(row["zone"])).strftime("%-d %b")
            pieces = scrub(comment.text, row["country"], comment.names, comment.masked.union(row["masks"]))
            said.append(Said(row["score"], day, pieces, self.languages.of(comment.text)))
        return said


@cache
def _template() -> Template:
    return page_templates(Path(__file__).parent / "pages").get_template("mine.html")


def _fragment(said: Sequence[Said]) -> bytes:
    faces = {score: face(score, 16) for score in SCORES}
    return _template().render(said=said, faces=faces, mask_words=MASK_WORDS).encode()
