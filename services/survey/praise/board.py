"""What a terminal's whiteboard shows. Praise only: no times of delivery, no recipients, no scores, no ranking."""

import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import asyncpg

from services.chassis.postgres import Database, Pool
from services.survey.comments.texts import Comment, Texts
from services.survey.praise.scrub import Piece, scrub
from services.survey.praise.signs import Sign, sign_of
from services.survey.praise.store import SQL

LEAST_FOR_QUOTES = 10
"""Comments need one level more than counts (D9): so many praised in the days that the board looks back."""
LEAST_FOR_COUNTS = 5
"""Below this the board tells no number (D9)."""
_MOST_QUOTES = 24
_KEY_BYTES = 16


@dataclass(frozen=True, slots=True)
class Board:
    """One whiteboard: the terminal, its name as people say it, and the language of its words."""

    terminal: str
    title: str
    language: str


@dataclass(frozen=True, slots=True)
class Quote:
    """One approved comment, scrubbed; without a sign where the driver is unknown or has declined."""

    pieces: tuple[Piece, ...]
    sign: Sign | None
    route: str | None
    method: str


@dataclass(frozen=True, slots=True)
class BoardView:
    """The board now. `today`, `passed_on` and `reason` are None where too few were praised to tell."""

    board: Board
    local_now: datetime
    today: int | None
    passed_on: int | None
    reason: str | None
    quotes: tuple[Quote, ...]


@dataclass(frozen=True, slots=True)
class Boards:
    """Reads boards."""

    pool: Pool
    texts: Texts
    now: Callable[[], datetime]
    days: int

    async def by_key(self, terminal: str, key: str) -> Board | None:
        """The board behind an address, None where the key is wrong or revoked."""
        row = await self.pool.fetchrow(SQL["board_of"], key_hash(key), terminal)
        return None if row is None else Board(row["terminal"], row["title"], row["language"])

    async def terminals(self) -> Sequence[str]:
        """The terminals that have been praised or have a board."""
        return [row["terminal"] for row in await self.pool.fetch(SQL["terminals"])]

    async def view(self, board: Board) -> BoardView:
        """What the board shows now."""
        async with self.pool.acquire() as connection:
            zone = ZoneInfo(await connection.fetchval(SQL["zone_of"], board.terminal) or "UTC")
            local = self.now().astimezone(zone)
            midnight = datetime.combine(local.date(), time(), zone).astimezone(UTC)
            since = midnight - timedelta(days=self.days - 1)
            tally = await connection.fetchrow(SQL["tally"], board.terminal, midnight, since)
            assert tally is not None
            reason = await connection.fetchval(SQL["reason_of_day"], board.terminal, midnight)
            rows: Sequence[asyncpg.Record] = []
            if tally["recent"] >= LEAST_FOR_QUOTES:
                rows = await connection.fetch(SQL["quotes"], board.terminal, since, _MOST_QUOTES)
            texts = await self.texts.of(connection, [r["praise_id"] for r in rows])
        enough = tally["today"] >= LEAST_FOR_COUNTS
        quotes = (_quote(row, texts.get(row["praise_id"])) for row in rows)
        return BoardView(
            board=board,
            local_now=local,
            today=tally["today"] if enough else None,
            passed_on=tally["passed_on"] if enough else None,
            reason=reason if enough else None,
            quotes=tuple(quote for quote in quotes if quote is not None),
        )


def _quote(row: asyncpg.Record, comment: Comment | None) -> Quote | None:
    # Another comment than the approved one, or one that is gone, never shows.
    if comment is None or comment.digest != row["comment_digest"]:
        return None
    pieces = scrub(comment.text, row["country"], comment.names, comment.masked.union(row["masks"]))
    sign = None if row["number"] is None else sign_of(row["number"])
    return Quote(pieces, sign, row["route"], row["method"])


def new_key() -> str:
    """A key for a board's address: 128 random bits."""
    return secrets.token_urlsafe(_KEY_BYTES)


def key_hash(key: str) -> bytes:
    """What stands in the database instead of the key."""
    return hashlib.sha256(key.encode()).digest()


async def add_board(database: "Pool | Database", board: Board) -> str:
    """Keep a new board; returns its key, which is told only now."""
    key = new_key()
    await database.execute(SQL["add_board"], key_hash(key), board.terminal, board.title, board.language)
    return key


async def list_boards(database: "Pool | Database") -> Sequence[asyncpg.Record]:
    """All boards, revoked ones too, each with the short name that `revoke_board` takes."""
    return await database.fetch(SQL["boards"])


async def revoke_board(database: "Pool | Database", name: str) -> int:
    """Make a board's address useless at once; returns how many boards had this short name."""
    return int((await database.execute(SQL["revoke_board"], name)).split()[-1])
