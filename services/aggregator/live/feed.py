"""The live view of the counters: one reading shared by everybody who watches, at most four times a second."""

import asyncio
import secrets
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from services.aggregator.live.line import Line

_POINTS = 960  # four minutes, as long as the demo's plot reaches
_TICK = 1.0
_NEW_LINE_POINTS = 5
_MOST_MISSED = 20
"""Changes that a reader may miss and still get one by one: about five seconds."""


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the picture, numbered from 1, with its point for the plot."""

    number: int
    point: list[float] | None


@dataclass(slots=True)
class LiveFeed:
    """What everybody who looks at one scope is told: the latest picture, and the last minutes for the plot.

    Attributes:
        watchers: how many event streams are open.
    """

    watchers: int = 0
    _line: Line = field(default_factory=Line)
    _lines: dict[str, Line] = field(default_factory=dict)
    _history: deque[list[float]] = field(default_factory=lambda: deque(maxlen=_POINTS))
    _latest: dict[str, Any] = field(default_factory=dict)
    _past: dict[str, Any] = field(default_factory=dict)
    _pasts: int = 0
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _run: str = field(default_factory=lambda: secrets.token_hex(4))
    _state: Any = None
    _changes: deque[Change] = field(default_factory=lambda: deque(maxlen=_MOST_MISSED))
    _written: dict[str, tuple[int, bytes]] = field(default_factory=dict)

    async def take(self, picture: dict[str, Any], now: float) -> None:
        """A new reading, and everybody is told."""
        total = picture["total"]
        # Of too few the picture has no counters, so what is told later has none either.
        if total and total["answers"] is not None:
            satisfied = sum(total["scores"][3:]) if total["answers"] else 0
            self._history.append([now, satisfied, total["answers"]])
            self._line.add(now, satisfied, total["answers"])
        for row in picture["terminals"]["shown"]:
            self._lines.setdefault(row["value"], Line()).add(now, row["satisfied_answers"], row["answers"])
        self._latest = picture
        self._note_change()
        await self.wake()

    async def take_past(self, past: dict[str, Any]) -> None:
        """What the days before say: it changes seldom and is told apart."""
        if past != self._past:
            self._past, self._pasts = past, self._pasts + 1
            await self.wake()

    async def wake(self) -> None:
        """Let every stream look."""
        async with self._changed:
            self._changed.notify_all()

    def _note_change(self) -> None:
        state = (_version(self._latest.get("total")), self._latest.get("behind"), self._latest.get("alerts"))
        if state != self._state:
            self._state = state
            number = self._changes[-1].number + 1 if self._changes else 1
            known = (self._latest.get("total") or {}).get("answers") is not None
            self._changes.append(Change(number, self._history[-1] if known and self._history else None))

    def snapshot(self) -> dict[str, Any]:
        """The latest reading, with the history of (time, satisfied, answers) and the line for the plot."""
        return {**self._latest, **_now(), "history": list(self._history), "line": self._line.points()}

    async def events(self, stop: asyncio.Event, last: str | None = None, row: str = "") -> AsyncGenerator[bytes, None]:
        """Server-sent events: the whole picture first, then every change; once a second a tick where nothing did.

        `last` is the id of the last event that a reader had: it gets only what it missed, where that is little.
        `row` is the row whose line is told too.
        """
        self.watchers += 1
        try:
            seen = self._changes[-1].number if self._changes else 0
            for event in self._missed(last) or [_event("snapshot", self.snapshot(), self._id(seen))]:
                yield event
            pasts, quiet = 0, time.monotonic()
            if line := self._line_of(row, None):
                yield line
            while not stop.is_set():
                if pasts != self._pasts:
                    pasts = self._pasts
                    yield self._once("past", pasts, self._written_past)
                async with self._changed:
                    await self._changed.wait()
                newest = self._changes[-1] if self._changes else None
                if newest and newest.number != seen:
                    seen, quiet = newest.number, time.monotonic()
                    yield self._update(newest)
                    if line := self._line_of(row, _NEW_LINE_POINTS):
                        yield line
                elif time.monotonic() - quiet >= _TICK:
                    quiet = time.monotonic()
                    yield _event("tick", {k: self._latest.get(k) for k in ("as_of", "behind")} | _now(), self._id(seen))
        finally:
            self.watchers -= 1

    def _written_past(self) -> bytes:
        return _event("past", self._past, self._id(self._changes[-1].number if self._changes else 0))

    def _line_of(self, row: str, points: int | None) -> bytes | None:
        if row not in self._lines:
            return None
        number = self._changes[-1].number if self._changes else 0
        told = {"value": row, "line": self._lines[row].points(points)}
        return _event("row", told, self._id(number))

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
        # A thousand readers are told the same: it is written once.
        return self._once("update", change.number, lambda: self._written_update(change))

    def _written_update(self, change: Change) -> bytes:
        new = {"point": change.point, "line": self._line.points(_NEW_LINE_POINTS)}
        return _event("update", {**self._latest, **_now(), **new}, self._id(change.number))

    def _once(self, name: str, number: int, write: Callable[[], bytes]) -> bytes:
        known = self._written.get(name)
        if known is None or known[0] != number:
            known = self._written[name] = number, write()
        return known[1]

    def _id(self, number: int) -> str:
        return f"{self._run}-{number}"


def _now() -> dict[str, str]:
    # Pages tell the age of numbers by the server's clock; theirs may be wrong.
    return {"now": datetime.now(UTC).isoformat()}


def _version(total: dict[str, Any] | None) -> int:
    return total["version"] if total else 0


def _event(name: str, data: dict[str, Any], event_id: str) -> bytes:
    return b"event: %b\nid: %b\ndata: %b\n\n" % (name.encode(), event_id.encode(), orjson.dumps(data))
