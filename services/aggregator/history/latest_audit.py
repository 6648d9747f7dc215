"""What the latest audit found and when it ended, told as metrics: a proof that fails at night wakes somebody."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from services.chassis.attempts import tried_again_later
from services.chassis.metrics import Metrics
from services.chassis.pauses import pause_or_stop
from services.chassis.postgres import Database, Pool, named_sql

_PERIOD: Final = 30.0


async def note_audit(connection: Database, differences: int) -> None:
    """Keep that an audit has ended now, and how much differed."""
    await connection.execute(named_sql("services.aggregator", "audits.sql")["note_audit"], differences)


@dataclass(frozen=True, slots=True)
class LatestAudit:
    """Tells what the latest audit found, where one ever ended."""

    pool: Pool
    metrics: Metrics
    sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.aggregator", "audits.sql"))

    async def run(self, stop: asyncio.Event) -> None:
        """Look every half minute until stopped."""
        while not stop.is_set():
            with tried_again_later("latest audit"):
                await self.look()
            await pause_or_stop(_PERIOD, stop)

    async def look(self) -> None:
        """Look once."""
        async with self.pool.acquire() as connection:
            row = await connection.fetchrow(self.sql["latest_audit"])
        if row is not None:
            self.metrics.set("kvittera_audit_ended_timestamp_seconds", row["ended"])
            self.metrics.set("kvittera_audit_differences", row["differences"])
