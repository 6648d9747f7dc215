"""A small database of cells as the live page reads it, and its events taken apart."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from services.aggregator.live.scopes import LiveScopes

NOW = datetime(2026, 10, 12, 22, 30, tzinfo=UTC)
STOCKHOLM = ZoneInfo("Europe/Stockholm")
COUNTS = (
    "s1",
    "s2",
    "s3",
    "s4",
    "s5",
    "delivered",
    "asked",
    "suppressed",
    "pending",
    "failed",
    "commented",
    "contested",
    "reached",
    "opened",
)

NAMES = {
    "total": ("",),
    "method": ("",),
    "terminal.method": ("Årsta × home_day",),
    "reason": ("not_sampled",),
    "series": ("machine",),
    "": (),
}


def row(place: int, cut: str, value: str, satisfied: int, bad: int = 0, *, version: int = 1) -> dict[str, Any]:
    counts = dict.fromkeys(COUNTS, 0) | {"suppressed": 7, "s5": satisfied, "s1": bad, "delivered": 2000, "asked": 1000}
    return {"place": place, "cut": cut, "value": value, "cell": 3 << 30, "version": version, **counts}


class Database:
    """Answers the one statement of a tick, and counts statements."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.satisfied = 90

    async def fetch(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        self.asked.append((statement.split("\n", maxsplit=1)[0], *values))
        if "unnest" not in statement:
            return []
        rows = []
        for place, cut in enumerate(values[0], 1):
            names = NAMES.get(cut, ("Årsta", "Luleå"))
            rows += [row(place, cut, name, self.satisfied, 10, version=self.satisfied) for name in names]
        return rows


class Pool:
    def __init__(self) -> None:
        self.database = Database()

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[Database]:
        yield self.database


class Counter:
    lag = 0


def scopes() -> LiveScopes:
    return LiveScopes(Pool(), Counter(), STOCKHOLM, now=lambda: NOW)  # type: ignore[arg-type]  # small fakes


def told(event: bytes) -> tuple[str, Any]:
    name, _, data = event.decode().strip().split("\n")
    return name.removeprefix("event: "), orjson.loads(data.removeprefix("data: "))
