"""The ledger identity, always to be seen: delivered = asked + suppressed + pending + failed (E4)."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import asyncpg

from services.chassis.attempts import tried_again_later
from services.chassis.metrics import Metrics
from services.chassis.pauses import pause_or_stop
from services.chassis.postgres import Database, Pool, named_sql

_SIDES = ("delivered", "asked", "suppressed", "pending", "failed")
_STANDS_FOR = {
    **dict.fromkeys(("planned", "claimed", "calling", "in_doubt"), "pending"),
    **dict.fromkeys(("refused", "unknown"), "failed"),
    "withheld": "suppressed",
    "accepted": "asked",
}


@dataclass(frozen=True, slots=True)
class Ledger:
    """Deliveries by where they stand.

    Attributes:
        in_doubt: those of the pending whose send nobody knows the end of.
        reasons: why some were not asked about, and how many.
    """

    delivered: int
    asked: int
    suppressed: int
    pending: int
    failed: int
    in_doubt: int
    reasons: dict[str, int] = field(default_factory=dict)

    @property
    def sides(self) -> dict[str, int]:
        """What the identity is made of, by name."""
        return {side: getattr(self, side) for side in _SIDES}

    @property
    def gap(self) -> int:
        """What the identity is off by; anything but 0 is a fault of ours."""
        return self.delivered - self.asked - self.suppressed - self.pending - self.failed

    @classmethod
    def of(cls, rows: Iterable[asyncpg.Record]) -> "Ledger":
        """From rows of state, reason and number."""
        counts: Counter[str] = Counter()
        reasons: Counter[str] = Counter()
        for row in rows:
            where = _STANDS_FOR.get(row["state"], row["state"])
            counts[where] += row["n"]
            if where == "suppressed":
                reasons[row["reason"]] += row["n"]
            if row["state"] == "in_doubt":
                counts["in_doubt"] += row["n"]
        return cls(**{side: counts[side] for side in (*_SIDES, "in_doubt")}, reasons=dict(sorted(reasons.items())))


async def read_ledger(connection: Database) -> Ledger:
    """The ledger as every statement counted it, in one snapshot."""
    return Ledger.of(await connection.fetch(named_sql("services.notifier")["ledger_counted"]))


async def measure_ledger(pool: Pool, metrics: Metrics, stop: asyncio.Event, every: float = 5.0) -> None:
    """Fold what changed, and keep the identity visible."""
    sql = named_sql("services.notifier")
    while not await pause_or_stop(every, stop):
        with tried_again_later("ledger"):
            async with pool.acquire() as connection:
                await connection.execute(sql["fold_ledger"])
                ledger = await read_ledger(connection)
            for side, number in ledger.sides.items():
                metrics.set("kvittera_ledger", number, state=side)
            metrics.set("kvittera_ledger_gap", ledger.gap)
            metrics.set("kvittera_in_doubt", ledger.in_doubt)
