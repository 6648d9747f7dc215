"""From what is due to requests that may be called: permits, a claim that is committed as `calling`, and secrets."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

import asyncpg

from schemas.invitation import Outcome
from services.chassis.message_lines import WITHHELD, MessageLines
from services.chassis.metrics import Metrics
from services.chassis.persons import PersonKeys, Sealed
from services.chassis.postgres import Database, Pool, named_sql
from services.notifier.claim import Claims, Permits
from services.notifier.telling import changes, tell

DISCARD = "DISCARD PLANS"
_PLANS_LAST = 1.0
"""Plans are made for tables as they were: a month's table that was empty then is another one now."""


class Claimed(NamedTuple):
    """A request that is `calling` by now.

    Attributes:
        row: as it was claimed.
        secret: address and token; None where the person's key opens them no more.
        at: when the claim began, by the sender's clock.
    """

    row: asyncpg.Record
    secret: str | None
    at: float


@dataclass(slots=True)
class Claiming:
    """Claims what is due.

    Attributes:
        pool: where claims are made.
        keeps_plans: its connection plans each statement once; these plans are discarded after a second.
        planned_at: when they were discarded last, by the sender's clock.
    """

    pool: Pool
    claims: Claims
    persons: PersonKeys
    metrics: Metrics
    now: Callable[[], datetime]
    keeps_plans: bool = False
    planned_at: float = -math.inf
    lines: MessageLines = field(default_factory=lambda: MessageLines(0))
    sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.notifier"))

    async def begin(self, most: int, allowed: Mapping[str, int], at: float, call: Callable[[Claimed], None]) -> int:
        """Claim what is due and begin its calls; returns how many.

        So many may begin at `most`, and of some kinds of channel only as many as `allowed` says.
        """
        async with self.pool.acquire() as connection:
            if self.keeps_plans and at - self.planned_at > _PLANS_LAST:
                await connection.execute(DISCARD)
                self.planned_at = at
            permits = await self.claims.permits(connection, most, allowed)
            claimed = await self.claim(connection, permits, at) if permits.room else []
            for one in claimed:
                call(one)
            await self.claims.give_back(connection, permits, (one.row["channel"] for one in claimed))
        return len(claimed)

    async def claim(self, connection: Database, permits: Permits, at: float) -> list[Claimed]:
        """What is to be called, committed as `calling` before its first byte; what is withheld or corrected is told."""
        began = time.perf_counter()
        async with connection.transaction():
            rows = await self.claims.take(connection, permits)
            withheld = [r for r in rows if r["state"] == "withheld"]
            corrected = [r for r in rows if r["state"] == "planned"]
            told = changes(withheld, Outcome.SUPPRESSED, self.now()) + changes(corrected, Outcome.SCHEDULED, self.now())
            await tell(connection, self.sql, told)
            calling = [r for r in rows if r["state"] == "calling"]
            secrets = self.persons.open_with(
                {r["person"]: r["wrapped"] for r in calling},
                [Sealed(r["person"], r["sealed"], str(r["invitation_id"])) for r in calling],
            )
        for row in withheld:
            self.metrics.count("kvittera_withheld_total", reason=row["reason"])
        for row in calling:
            if row["again"]:
                self.metrics.count("kvittera_possible_duplicates_total", channel=row["channel"])
        took = time.perf_counter() - began
        for row in self.lines.chosen(WITHHELD, withheld, len(withheld)):
            said = {name: row[name] for name in ("delivery_id", "kind", "channel", "reason")}
            self.lines.tell(WITHHELD, row["traceparent"], took, **said)
        return [Claimed(row, secret, at) for row, secret in zip(calling, secrets, strict=True)]
