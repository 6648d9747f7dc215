"""The receipts inbox: each report is kept once and moves its message forward, never back (C13).

Providers that took a message although they refused it for now are caught here: a second one does not leave, or,
where it has left already, is counted as a possible duplicate (C12).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import asyncpg

from services.chassis.metrics import Metrics
from services.chassis.persons import PersonKeys
from services.chassis.postgres import Database, Pool, named_sql
from services.notifier.channels.reports import Progress, Report, further

UNKNOWN = "unknown"
DUPLICATE = "duplicate"


@dataclass(frozen=True, slots=True)
class ReceiptsInbox:
    """Takes reports in.

    Attributes:
        unreachable_for: so long a hopeless address is not written to.
    """

    pool: Pool
    persons: PersonKeys
    unreachable_for: timedelta
    metrics: Metrics
    sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.notifier", "receipts.sql"))

    async def take(self, provider: str, report: Report) -> str:
        """Keep a report; returns how far it says the message got, UNKNOWN or DUPLICATE.

        The reference was committed before the first byte left, so no report can come before it.

        Raises:
            Database errors: it is not known whether it was kept. Taking it again is safe.
        """
        async with self.pool.acquire() as connection, connection.transaction():
            row = await connection.fetchrow(self.sql["lock_reported"], UUID(report.reference))
            if row is None:
                return UNKNOWN
            if not await self._keep(connection, provider, report, row):
                return DUPLICATE
            known = None if row["progress"] is None else Progress(row["progress"])
            progress = further(known, report.progress)
            await connection.execute(self.sql["move_progress"], row["invitation_id"], progress.value)
            if progress is Progress.DELIVERED and known is not Progress.DELIVERED:
                await connection.execute(self.sql["tell_reached"], row["invitation_id"])
            if progress is not Progress.UNDELIVERED:
                await connection.execute(self.sql["doubt_retry"], row["invitation_id"])
            await self._judge_address(connection, report, progress, row)
            twice = report.progress is not Progress.UNDELIVERED and await connection.fetchval(
                self.sql["is_another_message"], row["invitation_id"], provider, report.message_id
            )
        if twice:
            self.metrics.count("kvittera_possible_duplicates_total", channel=row["channel"])
        return report.progress.value

    async def _judge_address(
        self, connection: Database, report: Report, progress: Progress, row: asyncpg.Record
    ) -> None:
        if progress is Progress.DELIVERED:
            await connection.execute(self.sql["reach_again"], row["person"], row["invitation_id"])
        elif report.hopeless:
            await connection.execute(
                self.sql["mark_unreachable"],
                row["person"],
                report.reason or report.status,
                self.unreachable_for.total_seconds(),
                row["invitation_id"],
            )

    async def _keep(self, connection: Database, provider: str, report: Report, row: asyncpg.Record) -> bool:
        person = row["person"]
        known = (await self.persons.look_up(connection, [person])).get(person)
        sealed = None
        if known is not None and known.wrapped is not None:  # who was erased gets no new key
            box = (await self.persons.for_closing(connection, [known]))[person]
            sealed = box.close_bytes(report.raw, f"receipt {provider} {report.message_id} {report.status}")
        kept = await connection.fetchval(
            self.sql["keep_receipt"],
            provider,
            report.message_id,
            report.status,
            row["invitation_id"],
            report.reason,
            sealed,
            report.progress.value,
        )
        return kept is not None
