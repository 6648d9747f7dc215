"""Retention: what is older than its time is deleted, some rows at a time, every day or by `kvittera retention run`."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from services.chassis.attempts import tried_again_later
from services.chassis.metrics import Metrics
from services.chassis.pauses import pause_or_stop
from services.chassis.postgres import Database, Pool, named_sql

_BATCH = 1000
_MOST_LOOKED_AT = 10_000_000
_A_DAY = 86_400.0
_FIRST_WITHIN = 600.0

BeforeTheyGo = Callable[[Database, Sequence[Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Rule:
    """What is kept how long. `what` names two statements: one that counts the old rows, one that deletes some.

    Attributes:
        first: what is done with the keys of rows before they go, in the same transaction. A statement `<what>_next`
            then finds and locks them, and `what` deletes them by their keys.
        walks: whether it looks at each row only once, from a position on that it keeps in a table. Its statement tells
            how many rows it `looked` at and how many have `gone`, and `<what>_lock` comes before it.
    """

    what: str
    keep: timedelta
    walks: bool = False
    first: BeforeTheyGo | None = None


@dataclass(frozen=True, slots=True)
class Retention:
    """The rules of one service, with the statements in its `retention.sql`.

    Each statement takes an age in seconds; `<what>_due` counts, `<what>` deletes or blanks at most $2 rows.

    Attributes:
        looked_at: rows that a rule that walks looks at in one run, at most; the next run goes on behind them.
    """

    service: str
    rules: Sequence[Rule]
    looked_at: int = _MOST_LOOKED_AT
    sql: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sql", named_sql(f"services.{self.service}", "retention.sql"))

    async def due(self, connection: Database) -> dict[str, int]:
        """How many rows are older than their time."""
        return {
            rule.what: await connection.fetchval(self.sql[f"{rule.what}_due"], rule.keep.total_seconds())
            for rule in self.rules
        }

    async def run(self, connection: Database, *, batch: int = _BATCH) -> dict[str, int] | None:
        """Delete what is older than its time, each batch in a transaction of its own.

        Returns how many rows went by rule, or None where another process is at it.
        """
        if not await connection.fetchval("SELECT pg_try_advisory_lock(hashtext($1))", self._lock):
            return None
        try:
            return {
                rule.what: await (self._walk if rule.walks else self._apply)(connection, rule, batch)
                for rule in self.rules
            }
        finally:
            await connection.execute("SELECT pg_advisory_unlock(hashtext($1))", self._lock)

    async def _apply(self, connection: Database, rule: Rule, batch: int) -> int:
        total = 0
        while True:
            gone = await self._let_go(connection, rule, batch)
            total += gone
            if gone < batch:
                return total

    async def _let_go(self, connection: Database, rule: Rule, batch: int) -> int:
        age = rule.keep.total_seconds()
        if rule.first is None:
            return _rows(await connection.execute(self.sql[rule.what], age, batch))
        async with connection.transaction():
            keys = [r[0] for r in await connection.fetch(self.sql[f"{rule.what}_next"], age, batch)]
            await rule.first(connection, keys)
            return _rows(await connection.execute(self.sql[rule.what], keys))

    async def _walk(self, connection: Database, rule: Rule, batch: int) -> int:
        total = 0
        for beginning in range(0, self.looked_at, batch):
            at_most = min(batch, self.looked_at - beginning)
            async with connection.transaction():
                await connection.execute(self.sql[f"{rule.what}_lock"])
                row = await connection.fetchrow(self.sql[rule.what], rule.keep.total_seconds(), at_most)
            looked, gone = row or (0, 0)
            total += gone
            if looked < at_most:
                break
        return total

    @property
    def _lock(self) -> str:
        return f"kvittera retention {self.service}"

    async def daily(self, pool: Pool, metrics: Metrics, stop: asyncio.Event) -> None:
        """Run soon after the start, not in step with others, and then every day; a failure waits for the next time."""
        pause = random.SystemRandom().uniform(0, _FIRST_WITHIN)
        while not await pause_or_stop(pause, stop):
            pause = _FIRST_WITHIN
            with tried_again_later("retention"):
                async with pool.acquire() as connection:
                    gone = await self.run(connection)
                for what, rows in (gone or {}).items():
                    metrics.count("kvittera_retention_deleted_total", rows, what=what)
                pause = _A_DAY


def _rows(status: str) -> int:
    """How many rows a statement has written, by what PostgreSQL says of it."""
    return int(status.rpartition(" ")[2])
