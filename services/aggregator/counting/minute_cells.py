"""Minute cells are kept for some hours: they are many, and older ones tell nothing that the hours do not."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from services.chassis.attempts import tried_again_later
from services.chassis.pauses import pause_or_stop
from services.chassis.postgres import Database, Pool, database_time, named_sql

_PERIOD = 300.0


@dataclass(frozen=True, slots=True)
class MinuteCells:
    """Drops minute cells that are older than `keep_hours` and tells the publisher.

    By the database's clock: minutes that are dropped never come back, and those of processes may be wrong.
    """

    pool: Pool
    keep_hours: float
    now: Callable[[Database], Awaitable[datetime]] = database_time
    sql: Mapping[str, str] = field(
        default_factory=lambda: {
            **named_sql("services.aggregator"),
            **named_sql("services.aggregator", "cuts.sql"),
        }
    )

    async def run(self, stop: asyncio.Event) -> None:
        """Drop old ones every few minutes until stopped."""
        while not stop.is_set():
            with tried_again_later("minute cells"):
                await self.drop()
            await pause_or_stop(_PERIOD, stop)

    async def drop(self) -> int:
        """Drop what is too old now, counted on the wall clock of UTC. Returns how many cells went."""
        async with self.pool.acquire() as connection, connection.transaction():
            first = int((await self.now(connection)).timestamp() - self.keep_hours * 3600) // 60
            if await connection.fetchval(self.sql["move_minutes"], first) is None:
                return 0
            gone = [r["cell"] for r in await connection.fetch(self.sql["drop_minutes"], first)]
            if gone:
                # A touched cell that is not there any more gets a tombstone.
                await connection.execute(self.sql["touch"], gone)
            return len(gone)
