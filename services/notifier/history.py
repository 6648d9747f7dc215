"""What is known already when deliveries are decided: one query for each kind of knowledge and batch."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import asyncpg

from schemas.delivery import ChannelKind, ContactChannel, Correction, DeliveryCompleted, DeliveryFacts
from schemas.disruption import DeliveryDisruption
from services.chassis.persons import Known, Person
from services.chassis.postgres import Database, named_sql
from services.notifier import policy
from services.notifier.disrupted import open_disruptions

Order = tuple[str | None, str]
"""Merchant and order: shops number their orders each for themselves."""


@dataclass(slots=True)
class Past:
    """The past of a batch; what the batch itself plans is added as it is decided."""

    drops: set[str]
    orders: set[Order]
    contacts: dict[Person, list[policy.Contacted]]
    preferences: Mapping[Person, policy.Preference]
    disruptions: tuple[DeliveryDisruption, ...]
    stopped: Mapping[str, Correction]
    known: Mapping[Person, Known]
    unreachable: Mapping[Person, datetime] = field(default_factory=dict)

    def of(self, facts: DeliveryFacts, addresses: Mapping[ContactChannel, Person]) -> policy.History:
        """The history of one delivery: all addresses of its recipient taken together."""
        persons = list(addresses.values())
        erased = [at for p in persons if (at := self.known[p].erased_at) is not None]
        return policy.History(
            drop_asked=facts.drop_id in self.drops,
            erased_at=max(erased, default=None),
            order_asked=_order(facts) in self.orders,
            contacts=tuple(c for p in persons for c in self.contacts.get(p, ())),
            preference=_strictest([self.preferences[p] for p in persons if p in self.preferences]),
            disruptions=self.disruptions,
            correction=self.stopped.get(facts.delivery_id),
            unreachable={c: self.unreachable[p] for c, p in addresses.items() if p in self.unreachable},
        )

    def plan(self, facts: DeliveryFacts, person: Person, ask: policy.Ask) -> None:
        """Remember what was just decided, for the rest of the batch."""
        self.drops |= {facts.drop_id} if facts.drop_id is not None else set()
        if (order := _order(facts)) is not None:
            self.orders.add(order)
        contact = policy.Contacted(ask.at, ask.channel.kind, facts.merchant_id)
        self.contacts.setdefault(person, []).append(contact)


@dataclass(frozen=True, slots=True)
class LookBack:
    """Reads the past of a batch from the notifier's tables."""

    sql: Mapping[str, str] = field(
        default_factory=lambda: named_sql("services.notifier", "state.sql", "history.sql", "receipts.sql")
    )

    async def __call__(
        self, connection: Database, deliveries: Iterable[DeliveryFacts], known: Mapping[Person, Known]
    ) -> Past:
        """The past of these deliveries and persons."""
        facts = list(deliveries)
        drops = [f.drop_id for f in facts if f.drop_id is not None]
        orders = {order for f in facts if (order := _order(f)) is not None}
        merchants, numbers = [merchant for merchant, _ in orders], [number for _, number in orders]
        ids = [f.delivery_id for f in facts]
        if drops or orders:
            # None of them is decided by another process until the caller's transaction ends. What was committed while
            # the locks were waited for is seen by the statements after it.
            await connection.execute(self.sql["lock_stops"], drops, numbers)
        asked = await connection.fetch(self.sql["drops_asked"], drops) if drops else []
        ordered = await connection.fetch(self.sql["orders_asked"], merchants, numbers) if orders else []
        contacts: dict[Person, list[policy.Contacted]] = {}
        for row in await connection.fetch(self.sql["contacts"], list(known)):
            contact = policy.Contacted(row["at"], ChannelKind(row["channel"]), row["merchant_id"])
            contacts.setdefault(row["person"], []).append(contact)
        preferences = await connection.fetch(self.sql["preferences"], list(known))
        disruptions = await open_disruptions(connection, self.sql)
        stopped = await connection.fetch(self.sql["stopped"], ids)
        unreachable = await connection.fetch(self.sql["unreachable"], list(known))
        return Past(
            {r["drop_id"] for r in asked},
            {(r["merchant_id"], r["order_id"]) for r in ordered},
            contacts,
            {r["person"]: _preference(r) for r in preferences},
            disruptions,
            {r["delivery_id"]: Correction(r["reason"]) for r in stopped},
            known,
            {r["person"]: r["until"] for r in unreachable},
        )

    async def corrected(
        self, connection: Database, deliveries: Sequence[DeliveryCompleted]
    ) -> dict[str, DeliveryCompleted]:
        """Deliveries whose facts were corrected before they came, as they should have been."""
        ids = {d.delivery.delivery_id: d for d in deliveries}
        rows = await connection.fetch(self.sql["corrected_facts"], list(ids))
        facts = {r["delivery_id"]: DeliveryFacts.model_validate_json(r["facts"]) for r in rows}
        return {i: ids[i].model_copy(update={"delivery": f}) for i, f in facts.items()}


def _order(facts: DeliveryFacts) -> Order | None:
    return None if facts.order_id is None else (facts.merchant_id, facts.order_id)


def _preference(row: asyncpg.Record) -> policy.Preference:
    only = row["only_channel"]
    return policy.Preference(row["never"], row["most_per_year"], ChannelKind(only) if only is not None else None)


def _strictest(said: Sequence[policy.Preference]) -> policy.Preference:
    strictest = policy.Preference()
    for one in said:
        limits = [n for n in (strictest.most_per_year, one.most_per_year) if n is not None]
        strictest = replace(
            strictest,
            never=strictest.never or one.never,
            most_per_year=min(limits, default=None),
            only_channel=strictest.only_channel or one.only_channel,
        )
    return strictest
