"""The claim: what is due is taken under its rows' locks, and all that may have changed is read again (guarantee 4).

First the permits, where there is a cap. Then one transaction: the switch and the locks, and then one statement that
judges what it locked. What must not be asked any more is withheld and told; what must not leave now is held until it
may; what is not known as upstream has corrected it, or not as fallen in a disruption, is told so, and looked at again
by the next claim; what was tried before and is answered is left to the sweep. Last, permits that nobody used are given
back.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import asyncpg

from schemas.delivery import ChannelKind
from services.chassis.postgres import Database, named_sql
from services.notifier.disrupted import disrupted
from services.notifier.policy import Policies

Departs = Callable[[str, str, datetime], datetime]
"""The first moment, from `now` on, at which a message to a zone and country may leave."""
KINDS = tuple(sorted(kind.value for kind in ChannelKind))
PERMIT_SECONDS = 2.0
"""A call begins so soon after its claim, or not at all: `free_permits` counts on it."""
_FEW = 20
"""A claim of fewer costs mostly itself."""
_DAY = 86_400


def at_once(_zone: str, _country: str, now: datetime) -> datetime:
    """Nothing is held."""
    return now


@dataclass(frozen=True, slots=True)
class Permits:
    """How many calls may begin.

    Attributes:
        most: over all kinds of channel.
        room: for each kind that may begin any.
        second: in which they were counted, since 1970 by the database's clock; None: there is no cap.
    """

    most: int
    room: Mapping[str, int]
    second: int | None = None


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
    sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.notifier", "claim.sql", "history.sql"))

    async def permits(self, connection: Database, most: int, allowed: Mapping[str, int] | None = None) -> Permits:
        """How many may begin now; under a cap they are counted as begun, in a transaction of its own.

        `allowed` sets a lower number for some kinds of channel. Whoever dies with permits leaves them counted.
        """
        room = {kind: min(most, (allowed or {}).get(kind, most)) for kind in KINDS}
        if self.cap is None:
            return Permits(most, room)
        of_a_second = max(_FEW, self.cap // 60)  # larger claims would only take longer
        wanted = [min(of_a_second, n) for n in room.values()]
        taken = await connection.fetch(self.sql["take_permits"], list(room), wanted, self.cap)
        return Permits(most, {r["channel"]: r["n"] for r in taken}, taken[0]["second"] if taken else None)

    async def take(self, connection: Database, permits: Permits) -> list[asyncpg.Record]:
        """Claim, withhold, correct or hold what is due, in the caller's transaction.

        Returns those to call, those withheld, and those that are still planned with corrected facts.
        """
        room = permits.room
        due = (await connection.fetch(self.sql["lock_due"], list(room), list(room.values())))[: permits.most]
        if tried := [r["invitation_id"] for r in due if r["attempts"]]:
            doubted = {r["invitation_id"] for r in await connection.fetch(self.sql["doubt_answered"], tried)}
            due = [r for r in due if r["invitation_id"] not in doubted]
        if not due:
            return []
        return [r for r in await self._judge(connection, due) if r["state"] != "planned" or r["corrected"]]

    async def warm_up(self, connection: Database) -> None:
        """Claim one request and take it back, so that the first claim finds tables, statements and triggers known."""
        rehearsal = connection.transaction()
        await rehearsal.start()
        try:
            await connection.fetch(self.sql["lock_due"], list(KINDS), [0] * len(KINDS))
            await self._judge(connection, await connection.fetch(self.sql["lock_any"]))
        finally:
            await rehearsal.rollback()

    async def give_back(self, connection: Database, permits: Permits, begun: Iterable[str]) -> None:
        """Let others have the permits that the calls begun, named by their kinds, left over."""
        left = Counter(permits.room) - Counter(begun)
        if permits.second is not None and left:
            await connection.execute(self.sql["give_permits_back"], list(left), list(left.values()), permits.second)

    async def _judge(self, connection: Database, due: Sequence[asyncpg.Record]) -> list[asyncpg.Record]:
        policies = self.policies()
        more = (policies.hours.reminder_days or 0) * _DAY

        def max_age(kind: str) -> timedelta:
            return timedelta(seconds=self.max_age_seconds + (more if kind == "reminder" else 0))

        touched = await disrupted(connection, self.sql, due, policies, max_age)
        held = []
        for row in due:
            says = touched.get(row["invitation_id"])
            ready = row["now"] if says is None or says.until is None else says.until
            if (at := self.departs(row["zone"], row["country"], ready)) > row["now"]:
                held.append((row["invitation_id"], at))
        carrier, merchant = policies.contact.carrier, policies.contact.merchant
        return await connection.fetch(
            self.sql["claim"],
            [r["invitation_id"] for r in due],
            [i for i, _ in held],
            [at for _, at in held],
            self.lease_seconds,
            self.max_age_seconds,
            more,
            carrier.most if carrier else None,
            carrier.days if carrier else 1,
            merchant.most if merchant else None,
            merchant.days if merchant else 1,
            None if self.only_to is None else list(self.only_to),
            list(touched),
            [says.disruption for says in touched.values()],
            [says.paused for says in touched.values()],
            [says.notice for says in touched.values()],
        )
