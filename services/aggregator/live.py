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

    async def events(self, stop: asyncio.Event) -> AsyncIterator[bytes]:
        """Server-sent events: the whole picture first, then every change; once a second a tick where nothing did."""
        yield _event("snapshot", self.snapshot())
        seen: Any = None
        quiet = time.monotonic()
        while not stop.is_set():
            async with self._changed:
                await self._changed.wait()
            state = (_version(self._latest.get("total")), self._latest.get("behind"))
            if state != seen:
                seen, quiet = state, time.monotonic()
                new = {
                    "point": self._history[-1] if self._history else None,
                    "line": self._line.points(_NEW_LINE_POINTS),
                }
                yield _event("update", {**self._latest, **_now(), **new})
            elif time.monotonic() - quiet >= _TICK:
                quiet = time.monotonic()
                yield _event("tick", {k: self._latest.get(k) for k in ("as_of", "behind")} | _now())


def _now() -> dict[str, str]:
    # Pages tell the age of numbers by the server's clock; theirs may be wrong.
    return {"now": datetime.now(UTC).isoformat()}


def _version(total: dict[str, Any] | None) -> int:
    return total["version"] if total else 0


def _event(name: str, data: dict[str, Any]) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(data) + b"\n\n"
