"""The claim: what is due is taken under its rows' locks, and all that may have changed is read again (guarantee 4).

One transaction: the switch, the caps, the locks, and then one statement that judges what it locked. What must
not be asked any more is withheld and told; what must not leave now is held until it may.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import asyncpg

from schemas.delivery import ChannelKind
from services.chassis.postgres import Database, named_sql
from services.notifier.policy import Policies

Departs = Callable[[str, str, datetime], datetime]
"""The first moment, from `now` on, at which a message to a zone and country may leave."""
KINDS = tuple(sorted(kind.value for kind in ChannelKind))
PERMIT_SECONDS = 2.0
"""A call begins so soon after its claim, or not at all: `calls_lately` counts on it."""
_DAY = 86_400


def at_once(_zone: str, _country: str, now: datetime) -> datetime:
    """Nothing is held."""
    return now


@dataclass(frozen=True, slots=True)
class Claims:
    """Takes due invitations.

    Attributes:
        max_age_seconds: older deliveries are not asked about.
        cap: most calls in any minute, for each kind of channel and over all processes; None: no cap.
        policies: as they hold now; budgets and the reminder's delay are taken from them.
        only_to: the persons that may be reached; None: everybody.
    """

    lease_seconds: float
    max_age_seconds: float
    cap: int | None = None
    policies: Callable[[], Policies] = Policies
    departs: Departs = at_once
    only_to: frozenset[bytes] | None = None
    sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.notifier", "claim.sql"))

    async def take(
        self, connection: Database, most: int, allowed: Mapping[str, int] | None = None
    ) -> list[asyncpg.Record]:
        """Claim, withhold or hold at most `most`, in the caller's transaction. Returns those to call and withheld.

        `allowed` sets a lower number for some kinds of channel.
        """
        if not await connection.fetchval(self.sql["sending_is_on"]):
            return []
        room = {kind: min(most, (allowed or {}).get(kind, most)) for kind in KINDS}
        if self.cap is not None:
            room = await self._under_the_cap(connection, room, self.cap)
        due = (await connection.fetch(self.sql["lock_due"], list(room), list(room.values())))[:most]
        if not due:
            return []
        rows = await self._judge(connection, due)
        if self.cap is not None:
            await self._count(connection, rows)
        return [r for r in rows if r["state"] != "planned"]

    async def _under_the_cap(self, connection: Database, room: Mapping[str, int], cap: int) -> dict[str, int]:
        await connection.execute(self.sql["lock_caps"])
        lately = {r["channel"]: r["n"] for r in await connection.fetch(self.sql["calls_lately"])}
        return {kind: max(0, min(n, cap - lately.get(kind, 0))) for kind, n in room.items()}

    async def _judge(self, connection: Database, due: Sequence[asyncpg.Record]) -> list[asyncpg.Record]:
        held = [
            (r["invitation_id"], at) for r in due if (at := self.departs(r["zone"], r["country"], r["now"])) > r["now"]
        ]
        policies = self.policies()
        carrier, merchant = policies.contact.carrier, policies.contact.merchant
        return await connection.fetch(
            self.sql["claim"],
            [r["invitation_id"] for r in due],
            [i for i, _ in held],
            [at for _, at in held],
            self.lease_seconds,
            self.max_age_seconds,
            (policies.hours.reminder_days or 0) * _DAY,
            carrier.most if carrier else None,
            carrier.days if carrier else 1,
            merchant.most if merchant else None,
            merchant.days if merchant else 1,
            None if self.only_to is None else list(self.only_to),
        )

    async def _count(self, connection: Database, rows: Sequence[asyncpg.Record]) -> None:
        begun = Counter(r["channel"] for r in rows if r["state"] == "calling")
        if begun:
            await connection.execute(self.sql["count_calls"], list(begun), list(begun.values()))
