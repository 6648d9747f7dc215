"""Forgetting published outbox rows once they are old enough, some at a time."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from services.chassis.postgres import Database, named_sql

_EVERY = 60.0
_ANEW_EVERY = 3600.0  # a million rows that wait take seconds to be looked at


@dataclass(slots=True)
class Cleaning:
    """Where one relay's look at the oldest rows has come to: what waits for days must not keep all that is behind it.

    Attributes:
        keep_seconds: how long rows are kept after they were written.
        clock: seconds, never going back.
    """

    keep_seconds: float
    clock: Callable[[], float]
    _behind: int = 0
    _next: float = -math.inf
    _anew: float = -math.inf
    _sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.chassis", "outbox.sql"))

    async def go_on(self, connection: Database) -> None:
        """Look at some rows, if it is time to; what waited when it was passed is looked at again within the hour."""
        if self.clock() < self._next:
            return
        row = await connection.fetchrow(self._sql["forget_published"], self.keep_seconds, self._behind)
        assert row is not None
        self._behind = row["behind"]
        if row["more"]:
            return
        self._next = self.clock() + _EVERY
        if self.clock() >= self._anew:
            self._behind, self._anew = 0, self.clock() + _ANEW_EVERY
