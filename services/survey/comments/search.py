"""Searches comments by words and facts, and opens the hits for display only."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import asyncpg

from services.chassis.postgres import Database, Pool
from services.survey.comments.index import SQL
from services.survey.comments.query import CONFIGURATIONS, Search, can_have_hits, fact_query
from services.survey.comments.texts import Comment, Texts
from services.survey.praise.scrub import Piece, scrub
from services.survey.staff.cursors import Cursor

PAGE = 50
_WINDOW = 5000
"""So many of the newest comments are looked through before the index is asked."""
_WIDEST = 40_000
"""Looking through more of the newest takes longer than asking the index."""
_SPARE = 1.5
"""How much wider than needed a second look is: hits do not come evenly."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One comment as staff see it, scrubbed; no pieces where the text is gone meanwhile."""

    response_id: uuid.UUID
    said_at: datetime
    score: int | None
    reasons: tuple[str, ...]
    terminal: str | None
    service_point: str | None
    language: str | None
    pieces: tuple[Piece, ...]

    @property
    def cursor(self) -> Cursor:
        """Where the page behind this hit begins."""
        return self.said_at, self.response_id


@dataclass(frozen=True, slots=True)
class CommentSearch:
    """Finds comments, the newest first."""

    pool: Pool
    texts: Texts

    async def find(self, search: Search, most: int = PAGE) -> tuple[Sequence[Hit], bool]:
        """The hits of one page, and whether there are more."""
        async with self.pool.acquire() as connection:
            rows = await self.rows(connection, search, most + 1) if can_have_hits(search) else []
            texts = await self.texts.of(connection, [r["response_id"] for r in rows[:most]])
        return [_hit(row, texts.get(row["response_id"])) for row in rows[:most]], len(rows) > most

    async def with_places(self, search: Search, like: str) -> Search:
        """The search narrowed to places whose names are like this."""
        plain = " ".join(like.replace("\x00", " ").split())
        pattern = plain.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        rows = await self.pool.fetch(SQL["places_like"], plain, pattern)
        return replace(search, places=tuple(r["name"] for r in rows))

    async def rows(self, connection: Database, search: Search, most: int) -> Sequence[asyncpg.Record]:
        """The rows of the index that fit. Filters that are not set must not shape the plan: each call has its own."""
        wanted = await self._query(connection, search)
        before = search.before or (None, None)
        where = (wanted, search.terminal, search.since, search.until, *before)
        async with connection.transaction(readonly=True):
            await connection.execute("SET LOCAL plan_cache_mode = force_custom_plan")
            rows: Sequence[asyncpg.Record] = await connection.fetch(SQL["search_newest"], *where, _WINDOW, most)
            if wanted and len(rows) < most and (wider := wider_window(len(rows), most)) is not None:
                rows = await connection.fetch(SQL["search_newest"], *where, wider, most)
            if wanted and len(rows) < most:
                rows = await connection.fetch(SQL["search_all"], *where, most)
        return rows

    async def _query(self, connection: Database, search: Search) -> str:
        facts = fact_query(search)
        if not search.words:
            return facts
        names, configurations = list(CONFIGURATIONS), list(CONFIGURATIONS.values())
        words: str = await connection.fetchval(
            SQL["text_query"], search.words, names, configurations, search.as_beginnings
        )
        if not words:
            return facts
        return f"({words}) & {facts}" if facts else words


def wider_window(found: int, most: int) -> int | None:
    """How many of the newest to look through to find `most`, after `found` in the first window; None: too many.

    What is frequent, but not in every hundredth comment, is slow in the index: its lists are long.
    """
    needed = int(_WINDOW * most * _SPARE / found) if found else _WIDEST + 1
    return needed if needed <= _WIDEST else None


def _hit(row: asyncpg.Record, comment: Comment | None) -> Hit:
    pieces = () if comment is None else scrub(comment.text, comment.country, comment.names, comment.masked)
    return Hit(
        response_id=row["response_id"],
        said_at=row["said_at"],
        score=row["score"],
        reasons=tuple(row["reasons"]),
        terminal=row["terminal"],
        service_point=row["service_point"],
        language=row["language"],
        pieces=pieces,
    )
