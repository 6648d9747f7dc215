"""The live view of the counters: one reading shared by everybody who watches, at most four times a second."""

import asyncio
import contextlib
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
from services.chassis.consumer import Reader
from services.chassis.postgres import Pool

PERIOD = 0.25
_POINTS = 960  # four minutes, as long as the demo's plot reaches
_KEEP_ALIVE = 15.0


@dataclass(slots=True)
class LiveFeed:
    """Reads the totals while anybody watches, and keeps the last minutes of them for the plot."""

    pool: Pool
    reader: Reader[Any]
    cells: Cells = field(default_factory=Cells)
    _history: deque[list[float]] = field(default_factory=lambda: deque(maxlen=_POINTS))
    _latest: dict[str, Any] = field(default_factory=dict)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def run(self, stop: asyncio.Event) -> None:
        """Keep the reading fresh until stopped."""
        while not stop.is_set():
            started = time.monotonic()
            # When PostgreSQL is away the page shows by `as_of` that nothing new comes.
            with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                self._latest = await self._read()
            async with self._changed:
                self._changed.notify_all()
            await asyncio.sleep(max(0.0, PERIOD - (time.monotonic() - started)))
        async with self._changed:
            self._changed.notify_all()

    async def _read(self) -> dict[str, Any]:
        async with self.pool.acquire() as connection:
            total = await self.cells.of_cut(connection, TOTAL, Window.ALL)
            terminals = await self.cells.of_cut(connection, "terminal", Window.ALL, limit=200)
        now = datetime.now(UTC)
        if total:
            scores = total[0]["scores"]
            self._history.append([now.timestamp(), scores[3] + scores[4], sum(scores)])
        return {
            "as_of": now.isoformat(),
            "total": total[0] if total else None,
            "terminals": terminals,
            "behind": self.reader.lag,
        }

    def snapshot(self) -> dict[str, Any]:
        """The latest reading, with the history of (time, satisfied, answers) for the plot."""
        return {**self._latest, "history": list(self._history)}

    async def events(self, stop: asyncio.Event) -> AsyncIterator[bytes]:
        """Server-sent events: the whole picture first, then every change."""
        yield _event("snapshot", self.snapshot())
        seen: Any = None
        quiet = time.monotonic()
        while not stop.is_set():
            async with self._changed:
                await self._changed.wait()
            state = (self._latest.get("total"), self._latest.get("behind"))
            if state != seen or time.monotonic() - quiet > _KEEP_ALIVE:
                seen = state
                quiet = time.monotonic()
                yield _event("update", {**self._latest, "point": self._history[-1] if self._history else None})


def _event(name: str, data: dict[str, Any]) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(data) + b"\n\n"
