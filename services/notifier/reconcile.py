"""Proof of the ledger: the tables, what was counted as they changed, and Kafka's own deliveries (E4)."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.topics import DELIVERY_COMPLETED
from services.chassis.failures import Poison
from services.chassis.kafka import make_consumer
from services.chassis.postgres import OwnConnection, named_sql
from services.chassis.settings import Settings
from services.notifier.arriving import reading_deliveries
from services.notifier.ledger import Ledger

_SHOWN = 20
_AT_ONCE = 5000


@dataclass(slots=True)
class Reconciled:
    """What was found; every list is empty when all is right.

    Attributes:
        ledger: by the tables.
        miscounted: by the tables and as counted, where they differ.
        lone: deliveries with a decision but no request, or the other way round.
        undecided: deliveries that Kafka has, that were read, and that nothing was decided about; the first of them.
        further: how many more there are; one that came twice may be two.
        records, unreadable: records of deliveries that Kafka still has and were read; those that are none.
    """

    ledger: Ledger
    miscounted: dict[str, tuple[int, int]] = field(default_factory=dict)
    lone: list[str] = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)
    further: int = 0
    records: int = 0
    unreadable: int = 0

    @property
    def clean(self) -> bool:
        """Whether every delivery has exactly one outcome."""
        return not (self.ledger.gap or self.miscounted or self.lone or self.undecided)

    def name(self, undecided: list[str]) -> None:
        """Keep the first to name and the number of the others."""
        new = [delivery for delivery in undecided if delivery not in self.undecided]
        room = _SHOWN - len(self.undecided)
        self.undecided += new[:room]
        self.further += len(new[room:])

    def lines(self) -> list[str]:
        """For people."""
        found = self.ledger
        told = [
            f"{'clean' if self.clean else 'NOT CLEAN'}: {found.delivered} delivered = {found.asked} asked +"
            f" {found.suppressed} suppressed + {found.pending} pending + {found.failed} failed"
            + (f", off by {found.gap}" if found.gap else "")
        ]
        told += [f"{n:8}  suppressed: {reason}" for reason, n in found.reasons.items()]
        told.append(
            f"{self.records} records that Kafka still has were read; {self.unreadable} of them are dead letters"
        )
        told += [
            f"  {side}: {right} in the tables, {wrong} counted" for side, (right, wrong) in self.miscounted.items()
        ]
        told += [f"  {delivery}: decision and request do not belong together" for delivery in self.lone]
        told += [f"  {delivery}: read, and never decided" for delivery in self.undecided]
        if self.further:
            told.append(f"  and {self.further} more")
        return told


async def reconcile(
    connection: OwnConnection, settings: Settings, topic: str = DELIVERY_COMPLETED, *, at_once: int = _AT_ONCE
) -> Reconciled:
    """Compare in one snapshot, holding `at_once` records; deliveries that are not read yet are left out."""
    sql = named_sql("services.notifier", "queries.sql", "reconcile.sql")
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        by_table = Ledger.of(await connection.fetch(sql["tables_counted"]))
        counted = Ledger.of(await connection.fetch(sql["ledger_counted"]))
        found = Reconciled(by_table)
        for side, right in by_table.sides.items():
            if (wrong := counted.sides[side]) != right:
                found.miscounted[side] = (right, wrong)
        for name in ("scheduled_without_invitation", "invitation_without_decision"):
            found.lone += [r["delivery_id"] for r in await connection.fetch(sql[name], _SHOWN)]
        read = {r["part"]: r["next"] for r in await connection.fetch(sql["read_up_to"], topic)}
        async for ids, unreadable in _deliveries(settings, topic, read, at_once):
            found.records += len(ids) + unreadable
            found.unreadable += unreadable
            found.name([r["d"] for r in await connection.fetch(sql["undecided_of"], sorted(set(ids)))])
    return found


async def _deliveries(
    settings: Settings, topic: str, read: Mapping[int, int], at_once: int
) -> AsyncIterator[tuple[list[str], int]]:
    """Delivery ids of all records from the topic's start to where the notifier has read."""
    decode = reading_deliveries("kvittera-reconcile")
    consumer: AIOKafkaConsumer = make_consumer(settings, group=None, client="kvittera-reconcile")
    await consumer.start()
    try:
        ends = {TopicPartition(topic, part): at for part, at in read.items()}
        consumer.assign(list(ends))
        await consumer.seek_to_beginning(*ends)
        while any([await consumer.position(p) < end for p, end in ends.items()]):
            ids: list[str] = []
            unreadable = 0
            for part, records in (await consumer.getmany(timeout_ms=200, max_records=at_once)).items():
                for record in records:
                    if record.offset >= ends[part]:
                        continue
                    try:
                        received = decode(record)
                    except Poison:
                        unreadable += 1
                    else:
                        ids += [received.message.delivery.delivery_id] if received is not None else []
            yield ids, unreadable
    finally:
        await consumer.stop()
