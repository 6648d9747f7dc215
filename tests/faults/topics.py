"""What the topics hold, read from their start to their end, and how far the services have read them."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from schemas.topics import (
    DELIVERY_COMPLETED,
    INVITATION_DECIDED,
    INVITATION_PROGRESS,
    PERSON_ERASED,
    RESPONSE_RECORDED,
    SATISFACTION_CELLS,
)
from services.aggregator.publishing.publisher import cell_key, cell_message
from services.chassis.kafka import make_consumer
from services.chassis.postgres import OwnConnection, connect
from services.chassis.settings import Settings
from services.chassis.topic_identity import identify_topics, topic_partitions
from services.demo.people import now
from services.notifier.state import MODELS as HEARD_BY_NOTIFIER
from tests.faults.waiting import until

READS = {
    "notifier": (DELIVERY_COMPLETED, *HEARD_BY_NOTIFIER),
    "survey": (INVITATION_DECIDED, RESPONSE_RECORDED, PERSON_ERASED),
    "aggregator": (INVITATION_DECIDED, INVITATION_PROGRESS, RESPONSE_RECORDED),
}
POISON_KEY = b"poison"
"""Records with this key were made to be refused."""
_ALL_CELLS = "SELECT u.cut, u.value, c.* FROM cell AS c JOIN unit AS u ON u.id = (c.cell >> 32)::int"


@dataclass(slots=True)
class TopicLog:
    """A topic read on from where it was left; what its readers have seen so far."""

    settings: Settings
    topic: str
    positions: dict[TopicPartition, int] = field(default_factory=dict)

    async def read_on(self) -> list[ConsumerRecord]:
        """Every record since the last time, in order per partition."""
        parts = await topic_partitions(self.settings, self.topic)
        consumer: AIOKafkaConsumer = make_consumer(self.settings, group=None, client="fault-tests")
        await consumer.start()
        found: list[ConsumerRecord] = []
        try:
            consumer.assign(parts)
            for part in parts:
                consumer.seek(part, self.positions.get(part, 0))
            ends = await consumer.end_offsets(parts)
            async with asyncio.timeout(60):
                while any([await consumer.position(p) < ends[p] for p in parts]):
                    for records in (await consumer.getmany(timeout_ms=200, max_records=20_000)).values():
                        found += records
            for part in parts:
                self.positions[part] = await consumer.position(part)
        finally:
            await consumer.stop()
        return found


@dataclass(slots=True)
class Topics:
    """The topics of a running system, and what was read of them so far."""

    settings: Settings
    _logs: dict[str, TopicLog] = field(default_factory=dict)
    _cells: dict[bytes, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    _revisions: dict[bytes, int] = field(default_factory=dict)
    _events: set[bytes] = field(default_factory=set)

    async def read_from_start(self, topic: str) -> list[ConsumerRecord]:
        """Every record of a topic."""
        return await TopicLog(self.settings, topic).read_on()

    async def _read_on(self, topic: str) -> list[ConsumerRecord]:
        return await self._logs.setdefault(topic, TopicLog(self.settings, topic)).read_on()

    def forget_cells(self) -> None:
        """The topic of cells was made anew, and versions begin anew."""
        self._logs.pop(SATISFACTION_CELLS)
        self._cells.clear()

    async def check_cells(self, aggregator: OwnConnection) -> None:
        """No version ever goes back, one version says one thing, and the last one is the table's."""
        for record in await self._read_on(SATISFACTION_CELLS):
            said = orjson.loads(record.value)
            version = said.pop("version")
            said.pop("as_of")
            before, numbers = self._cells.get(record.key, (0, said))
            assert version > before or (version, said) == (before, numbers), (record.key, before, version)
            self._cells[record.key] = version, said
        rows = await aggregator.fetch(_ALL_CELLS)
        table = {}
        for row in rows:
            said = cell_message(row, now())
            key = cell_key(row["cut"], row["value"], str(said["window"]), said["start"])  # type: ignore[arg-type]
            table[key.encode()] = said["version"]
        assert {key: version for key, (version, _) in self._cells.items()} == table

    async def check_revisions(self) -> None:
        """A record may come twice after a crash, as the same event; apart from that revisions increase by one."""
        for record in await self._read_on(RESPONSE_RECORDED):
            event = b"" if record.key == POISON_KEY else dict(record.headers)["ce_id"]
            if not event or event in self._events:
                continue
            self._events.add(event)
            revision = orjson.loads(record.value)["revision"]
            assert revision == self._revisions.get(record.key, 0) + 1, (record.key, revision)
            self._revisions[record.key] = revision

    async def check_everything_is_read(self) -> None:
        """In == processed + dead-lettered: every offset that Kafka gave out is behind its reader's position."""

        async def all_read() -> bool:
            return await self.unread() == {}

        await until(all_read, "every record to be read", seconds=120)  # a service may have come back just now

    async def unread(self) -> dict[tuple[str, TopicPartition], int]:
        """How many records each reader has still to read, where there are any."""
        read = {service: await self._positions(service) for service in READS}
        ends = await self._ends({topic for topics in READS.values() for topic in topics})
        return {
            (service, partition): left
            for service, topics in READS.items()
            for partition, end in ends.items()
            if partition.topic in topics and (left := end - read[service].get(partition, 0))
        }

    async def _positions(self, service: str) -> dict[TopicPartition, int]:
        connection = await connect(self.settings, service)
        rows = await connection.fetch("SELECT topic, part, next FROM progress")
        await connection.close()
        return {TopicPartition(r["topic"], r["part"]): r["next"] for r in rows}

    async def _ends(self, topics: Collection[str]) -> dict[TopicPartition, int]:
        """Where each partition of the topics ends now."""
        consumer: AIOKafkaConsumer = make_consumer(self.settings, group=None, client="fault-tests")
        await consumer.start()
        try:
            known = await identify_topics(consumer._client, topics)
            parts = [part for topic, identity in known.items() for part in identity.parts(topic)]
            found: dict[TopicPartition, int] = await consumer.end_offsets(parts)
            return found
        finally:
            await consumer.stop()
