"""What dead processes left: their calls come into doubt, and doubts are resolved where that is possible."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

import asyncpg

from schemas.invitation import Outcome
from services.chassis.attempts import tried_again_later
from services.chassis.failures import is_transient
from services.chassis.metrics import Metrics
from services.chassis.microbatch import MicroBatcher
from services.chassis.pauses import pause_or_stop
from services.chassis.postgres import Database, Pool, named_sql
from services.notifier.channels import Channel, Fate, Result
from services.notifier.channels.reports import Progress
from services.notifier.settlement import Settlement, Settling, tell_unsettled
from services.notifier.telling import changes, is_replied_to, tell, tell_reminded

_EVERY = 5.0
_ANSWERED = Result(Fate.ACCEPTED, "answered")


@dataclass(frozen=True, slots=True)
class Sweep:
    """Looks for calls whose lease has ended and for doubts, until stopped.

    Attributes:
        settler: where what was found out is written.
        deadline_seconds: then a doubt that nobody can resolve is given up.
    """

    pool: Pool
    channel: Channel
    settling: Settling
    settler: MicroBatcher[Settlement, bool]
    metrics: Metrics
    lease_seconds: float
    deadline_seconds: float
    sql: Mapping[str, str] = field(
        default_factory=lambda: named_sql("services.notifier", "queries.sql", "reminders.sql")
    )

    async def run(self, stop: asyncio.Event) -> None:
        """Look every few seconds."""
        while not await pause_or_stop(min(_EVERY, self.lease_seconds / 2), stop):
            with tried_again_later("sweep"):
                await self.once()

    async def once(self) -> None:
        """Look now."""
        async with self.pool.acquire() as connection:
            await connection.execute(self.sql["release_expired_claims"])
            async with connection.transaction():
                await self._doubt_expired_calls(connection)
            waiting = await connection.fetch(self.sql["in_doubt"], self.deadline_seconds)
        for row in waiting:
            try:
                await self._resolve(row)
            except Exception as error:
                if is_transient(error):
                    raise
                tell_unsettled(self.metrics, row, error)  # one doubt must not hold up the others

    async def _doubt_expired_calls(self, connection: Database) -> None:
        doubted = await connection.fetch(self.sql["doubt_expired_calls"])
        await tell(connection, self.sql, changes(doubted, Outcome.IN_DOUBT, self.settling.now(), "interrupted"))
        reminders = [r["invitation_id"] for r in doubted if is_replied_to(r)]
        await tell_reminded(connection, self.sql, reminders, self.settling.now())

    async def _resolve(self, row: asyncpg.Record) -> None:
        known = _ANSWERED if row["answered"] else reported(row["progress"])
        found = known or await self.channel.look_up(row["reference"])
        if found is not None and found.fate is not Fate.IN_DOUBT:
            await self.settler.submit(self.settling.of(row, found, row["attempts"]))
        elif row["past_deadline"]:
            await self.settler.submit(self.settling.settled(row, "unknown", Outcome.FAILED, "fate_unknown"))


def reported(progress: str | None) -> Result | None:
    """What a provider's receipts say about a hand-over in doubt; None where none came."""
    if progress is None:
        return None
    if progress == Progress.UNDELIVERED:
        return Result(Fate.REFUSED, "undelivered")
    return Result(Fate.ACCEPTED, "reported")
