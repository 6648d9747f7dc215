"""The live view of the counters: one reading shared by everybody who watches, at most four times a second."""

import asyncio
import contextlib
import secrets
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import asyncpg
import orjson

from schemas.satisfaction import Window
from services.aggregator.cells import Cells
from services.aggregator.cuts import TOTAL
from services.aggregator.figures import figures, terminals
from services.aggregator.freshness import Freshness
from services.aggregator.line import Line
from services.chassis.consumer import Reader
from services.chassis.postgres import Pool

PERIOD = 0.25
_POINTS = 960  # four minutes, as long as the demo's plot reaches
_TICK = 1.0
_NEW_LINE_POINTS = 5
_MOST_TERMINALS = 200
_MOST_MISSED = 20
"""Changes that a reader may miss and still get one by one: about five seconds."""


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the picture, numbered from 1, with its point for the plot."""

    number: int
    point: list[float] | None


@dataclass(slots=True)
class LiveFeed:
    """Reads the totals while anybody watches, and keeps the last minutes of them for the plot."""

    pool: Pool
    reader: Reader[Any]
    freshness: Freshness = field(default_factory=Freshness)
    cells: Cells = field(default_factory=Cells)
    _line: Line = field(default_factory=Line)
    _history: deque[list[float]] = field(default_factory=lambda: deque(maxlen=_POINTS))
    _latest: dict[str, Any] = field(default_factory=dict)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _run: str = field(default_factory=lambda: secrets.token_hex(4))
    _state: Any = None
    _changes: deque[Change] = field(default_factory=lambda: deque(maxlen=_MOST_MISSED))

    async def run(self, stop: asyncio.Event) -> None:
        """Keep the reading fresh until stopped."""
        while not stop.is_set():
            started = time.monotonic()
            # When PostgreSQL is away the page shows by `as_of` that nothing new comes.
            with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                self._latest = await self._read()
                self._note_change()
            async with self._changed:
                self._changed.notify_all()
            await asyncio.sleep(max(0.0, PERIOD - (time.monotonic() - started)))
        async with self._changed:
            self._changed.notify_all()

    def _note_change(self) -> None:
        state = (_version(self._latest.get("total")), self._latest.get("behind"))
        if state != self._state:
            self._state = state
            number = self._changes[-1].number + 1 if self._changes else 1
            self._changes.append(Change(number, self._history[-1] if self._history else None))

    async def _read(self) -> dict[str, Any]:
        async with self.pool.acquire() as connection:
            found = await self.cells.of_cut(connection, TOTAL, Window.ALL)
            units = await self.cells.of_cut(connection, "terminal", Window.ALL, limit=_MOST_TERMINALS)
        now = datetime.now(UTC)
        total = found[0] if found else None
        if total:
            satisfied = total["scores"][3] + total["scores"][4]
            self._history.append([now.timestamp(), satisfied, total["answers"]])
            self._line.add(now.timestamp(), satisfied, total["answers"])
        return {
            "as_of": now.isoformat(),
            "total": total,
            "figures": figures(total),
            "terminals": terminals(units, total),
            "freshness": self.freshness.summary(now.timestamp()),
            "behind": self.reader.lag,
        }

    def snapshot(self) -> dict[str, Any]:
        """The latest reading, with the history of (time, satisfied, answers) and the line for the plot."""
        return {**self._latest, **_now(), "history": list(self._history), "line": self._line.points()}

    async def events(self, stop: asyncio.Event, last: str | None = None) -> AsyncIterator[bytes]:
        """Server-sent events: the whole picture first, then every change; once a second a tick where nothing did.

        `last` is the id of the last event that a reader had: it gets only what it missed, where that is little.
        """
        seen = self._changes[-1].number if self._changes else 0
        for event in self._missed(last) or [_event("snapshot", self.snapshot(), self._id(seen))]:
            yield event
        quiet = time.monotonic()
        while not stop.is_set():
            async with self._changed:
                await self._changed.wait()
            newest = self._changes[-1] if self._changes else None
            if newest and newest.number != seen:
                seen, quiet = newest.number, time.monotonic()
                yield self._update(newest)
            elif time.monotonic() - quiet >= _TICK:
                quiet = time.monotonic()
                yield _event("tick", {k: self._latest.get(k) for k in ("as_of", "behind")} | _now(), self._id(seen))

    def _missed(self, last: str | None) -> list[bytes]:
        """Updates since an event of this process; nothing where they are not kept, or none was told."""
        run, _, number = (last or "").partition("-")
        if run != self._run or not number.isascii() or not number.isdigit() or not self._changes:
            return []
        seen, kept = int(number[:18]), [c for c in self._changes if c.number > int(number[:18])]
        if not kept and seen == self._changes[-1].number:
            return [self._update(self._changes[-1])]
        return [*map(self._update, kept)] if kept and kept[0].number == seen + 1 else []

    def _update(self, change: Change) -> bytes:
        new = {"point": change.point, "line": self._line.points(_NEW_LINE_POINTS)}
        return _event("update", {**self._latest, **_now(), **new}, self._id(change.number))

    def _id(self, number: int) -> str:
        return f"{self._run}-{number}"


def _now() -> dict[str, str]:
    # Pages tell the age of numbers by the server's clock; theirs may be wrong.
    return {"now": datetime.now(UTC).isoformat()}


def _version(total: dict[str, Any] | None) -> int:
    return total["version"] if total else 0


def _event(name: str, data: dict[str, Any], event_id: str) -> bytes:
    return b"event: %b\nid: %b\ndata: %b\n\n" % (name.encode(), event_id.encode(), orjson.dumps(data))
