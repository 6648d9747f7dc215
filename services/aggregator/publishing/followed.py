"""What `satisfaction.cells.v1` tells of each cell last, by what was read of it and what was sent right behind that."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

import numpy as np
import orjson
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from schemas.topics import SATISFACTION_CELLS
from services.aggregator.counting.windows import Int64
from services.aggregator.publishing.keys import CellKeys
from services.aggregator.publishing.seen import SeenVersions
from services.chassis.postgres import Database, named_sql
from services.chassis.settings import Settings
from services.chassis.standing_topic import while_it_stands
from services.chassis.topic_identity import identity_now

_MOST_RECORDS = 20_000
_MOST_STRAYS = 100_000
_HIGHEST = np.iinfo(np.int64).max


@dataclass(slots=True)
class FollowedTopic:
    """Follows our own topic; the last record of a key is what readers are left with."""

    settings: Settings
    seen: SeenVersions = field(default_factory=SeenVersions)
    ends: dict[int, int] = field(default_factory=dict)
    """How far `seen` tells of each partition."""
    strays: dict[bytes, None] = field(default_factory=dict)
    """Keys that named no cell when they were read, and whose last record tells of one; the latest of very many.

    Before the topic is compacted it holds every cell of a dropped cut too, but with a tombstone behind.
    """
    _made_as: UUID | None = None
    _keys: CellKeys = field(default_factory=lambda: CellKeys(named_sql("services.aggregator")))

    def begin(self) -> None:
        """Begin anew: nothing was read yet."""
        self.seen.clear()
        self.ends.clear()
        self.strays.clear()
        self._made_as = None

    def sent(self, partition: int, offset: int, told: Int64) -> None:
        """Say that rows of cell and version were sent, from that offset on.

        What follows on what was read needs no reading. What others' records precede is read with them.
        """
        if self.ends.get(partition) == offset:
            self.ends[partition] = offset + len(told)
            self.seen.tell(told)

    async def named(self, connection: Database, keys: Sequence[bytes]) -> list[int | None]:
        """The cells that keys name today."""
        return await self._keys.cells(connection, keys)

    async def of_dropped_cuts(self, connection: Database) -> list[bytes]:
        """The keys of cells that are told although their cut was dropped."""
        return await self._keys.of_dropped_cuts(connection, [*self.strays]) if self.strays else []

    async def read(self, connection: Database, mirror: AIOKafkaConsumer) -> None:
        """Read on to the end that the topic has now.

        Raises:
            UnknownTopicOrPartitionError: Kafka does not have it, or not any more.
        """
        topic = await identity_now(self.settings, SATISFACTION_CELLS)
        if topic.topic_id != self._made_as:  # made again, it has nothing of what was seen
            self.begin()
            self._made_as = topic.topic_id
        reading = self._read_on(connection, mirror, topic.parts(SATISFACTION_CELLS))
        await while_it_stands(self.settings, SATISFACTION_CELLS, topic, reading)

    async def _read_on(
        self, connection: Database, mirror: AIOKafkaConsumer, partitions: Sequence[TopicPartition]
    ) -> None:
        if mirror.assignment() != set(partitions):
            mirror.assign(partitions)
        mirror.resume(*partitions)
        starts = await mirror.beginning_offsets(partitions)
        ends = await mirror.end_offsets(partitions)
        for place in partitions:
            mirror.seek(place, self.ends.get(place.partition, starts[place]))
        while any([await mirror.position(p) < ends[p] for p in partitions]):
            for records in (await mirror.getmany(timeout_ms=500, max_records=_MOST_RECORDS)).values():
                cells = await self._keys.cells(connection, [record.key or b"" for record in records])
                self._note_strays([r for r, cell in zip(records, cells, strict=True) if cell is None])
                versions = [version_in(record.value) for record in records]
                told = [row for row in zip(cells, versions, strict=True) if row[0] is not None]
                self.seen.tell(np.array(told, np.int64).reshape(-1, 2))
        for place in partitions:
            self.ends[place.partition] = await mirror.position(place)
        mirror.pause(*partitions)  # what we send ourselves meanwhile need not come back

    def _note_strays(self, records: Sequence[ConsumerRecord]) -> None:
        for record in records:
            self.strays.pop(key := record.key or b"", None)
            if record.value is not None:
                self.strays[key] = None
                if len(self.strays) > _MOST_STRAYS:
                    del self.strays[next(iter(self.strays))]


def version_in(value: bytes | None) -> int:
    """The version in a record of the topic; what cannot be read, or is none, is older than everything."""
    try:
        version = int(orjson.loads(value or b"")["version"])
    except (ValueError, TypeError, KeyError, OverflowError):
        return 0
    return version if 0 <= version <= _HIGHEST else 0
