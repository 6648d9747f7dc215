"""What `satisfaction.cells.v1` tells of each cell last, by what was read of it and what was sent right behind that."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

import numpy as np
import orjson
from aiokafka import AIOKafkaConsumer

from schemas.topics import SATISFACTION_CELLS
from services.aggregator.counting.windows import Int64
from services.aggregator.publishing.keys import CellKeys
from services.aggregator.publishing.seen import SeenVersions
from services.chassis.postgres import Database, named_sql
from services.chassis.settings import Settings
from services.chassis.topic_identity import identity_now

_MOST_RECORDS = 20_000
_HIGHEST = np.iinfo(np.int64).max


@dataclass(slots=True)
class FollowedTopic:
    """Follows our own topic; the last record of a key is what readers are left with."""

    settings: Settings
    seen: SeenVersions = field(default_factory=SeenVersions)
    ends: dict[int, int] = field(default_factory=dict)
    """How far `seen` tells of each partition."""
    _made_as: UUID | None = None
    _keys: CellKeys = field(default_factory=lambda: CellKeys(named_sql("services.aggregator")))

    def begin(self) -> None:
        """Begin anew: nothing was read yet."""
        self.seen.clear()
        self.ends.clear()
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

    async def read(self, connection: Database, mirror: AIOKafkaConsumer) -> None:
        """Read on to the end that the topic has now.

        Raises:
            UnknownTopicOrPartitionError: Kafka does not have it.
        """
        topic = await identity_now(self.settings, SATISFACTION_CELLS)
        partitions = topic.parts(SATISFACTION_CELLS)
        if topic.topic_id != self._made_as:  # made again, it has nothing of what was seen
            self.begin()
            self._made_as = topic.topic_id
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
                versions = [version_in(record.value) for record in records]
                told = [row for row in zip(cells, versions, strict=True) if row[0] is not None]
                self.seen.tell(np.array(told, np.int64).reshape(-1, 2))
        for place in partitions:
            self.ends[place.partition] = await mirror.position(place)
        mirror.pause(*partitions)  # what we send ourselves meanwhile need not come back


def version_in(value: bytes | None) -> int:
    """The version in a record of the topic; what cannot be read, or is none, is older than everything."""
    try:
        version = int(orjson.loads(value or b"")["version"])
    except (ValueError, TypeError, KeyError, OverflowError):
        return 0
    return version if 0 <= version <= _HIGHEST else 0
