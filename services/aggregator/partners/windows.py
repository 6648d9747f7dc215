"""Which windows of a partner must be read at a moment of its grid."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from services.aggregator.partners.publication import Rules
from services.aggregator.partners.views import View, window_of
from services.chassis.postgres import Database

_EPOCH = date(1970, 1, 1)
_METHOD = 2
"""Raise it when something else is released, or told of a cell, than before: then every window is read once more."""


def hours_of(window: str, start: str) -> range:
    """The hours since 1970 on a wall clock that a window covers, given its start as `window_of` says it."""
    first = date.fromisoformat(f"{start}-01" if window == "month" else start)
    end = (first + timedelta(days=31)).replace(day=1) if window == "month" else first + timedelta(days=7)
    return range((first - _EPOCH).days * 24, (end - _EPOCH).days * 24)


@dataclass(frozen=True, slots=True)
class Windows:
    """The windows of one partner, in the transaction of a moment.

    One that is quiet is not read: nothing in it may be released, and that stays so until an answer in it counts
    otherwise, or the rules or the cuts change. Its mark stands for all of them.
    """

    connection: Database
    sql: Mapping[str, str]
    view: View
    rules: Rules

    async def unread(self) -> list[tuple[str, bytes]]:
        """Starts of the windows that must be read, each with its mark, oldest first."""
        days: dict[str, list[str]] = defaultdict(list)
        for row in await self.connection.fetch(self.sql["days"]):
            days[window_of(self.view.window, row["day"])].append(f"{row['day']} {row['mark']}")
        # What was released of answers that are all of other windows now is taken back.
        for row in await self.connection.fetch(self.sql["windows_released"], self.view.partner):
            days.setdefault(row["start"], [])
        cuts = await self.connection.fetchval(self.sql["version_of_cuts"])
        rows = await self.connection.fetch(self.sql["quiet"], self.view.partner)
        quiet = {r["time_window"]: r["mark"] for r in rows}
        marks = {start: _mark(cuts, self.rules, of) for start, of in days.items()}
        return [(start, mark) for start, mark in sorted(marks.items()) if quiet.get(start) != mark]

    async def was_read(self, start: str, mark: bytes | None) -> None:
        """Note that a window is quiet while it has this mark, or that it is not."""
        await self.connection.execute(self.sql["forget_quiet"], self.view.partner, start)
        if mark is not None:
            await self.connection.execute(self.sql["keep_quiet"], self.view.partner, start, mark)


def _mark(cuts: int | None, rules: Rules, days: list[str]) -> bytes:
    return hashlib.sha256(repr((_METHOD, cuts, rules, days)).encode()).digest()
