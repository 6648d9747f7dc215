"""How many records wait in the partitions that this process reads."""

import asyncio
import time
from collections.abc import Callable, Container, Iterable

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from services.chassis.metrics import Metrics


class Lag:
    """Records that wait, as the broker tells; what a stuck consumer believes would hide that it is stuck.

    Attributes:
        records: that waited in all partitions when it was last measured.
        away_since: by `time.monotonic`, since when Kafka does not answer; None where it does.
    """

    def __init__(self, metrics: Metrics, applied_to: Callable[[TopicPartition], int], busy: Callable[[], bool]) -> None:
        self.records = 0
        self.away_since: float | None = None
        self._metrics = metrics
        self._applied_to = applied_to
        self._busy = busy
        self._passed: dict[TopicPartition, int] = {}
        self._positions: dict[TopicPartition, int] = {}

    async def measure(self, consumer: AIOKafkaConsumer, ours: Container[TopicPartition]) -> int:
        """Ask how many wait; 0 while Kafka is away, since a broker that does not answer has nothing to be read."""
        try:
            async with asyncio.timeout(5):
                mine = [p for p in consumer.assignment() if p in ours]
                ends = await consumer.end_offsets(mine) if mine else {}
                for partition in mine:
                    await self._pass_over_markers(consumer, partition)
        except (KafkaError, OSError, TimeoutError):
            self.away_since = self.away_since or time.monotonic()
            return 0
        self.away_since = None
        lags = {p: max(0, end - at) for p, end in ends.items() if (at := self._applied_to(p)) >= 0}
        for partition, lag in lags.items():
            self._tell(partition, lag)
        self.records = sum(lags.values())
        return self.records

    def passed(self, partition: TopicPartition) -> int:
        """The offset before which nothing is left although nothing was applied; -1 where that is not known."""
        return self._passed.get(partition, -1)

    def read_on(self, partition: TopicPartition) -> None:
        """Records of this partition came: what is applied tells how far it is."""
        self._passed.pop(partition, None)

    def let_go(self, partitions: Iterable[TopicPartition]) -> None:
        """These are another process's now, and so is what waits there."""
        for partition in partitions:
            self._tell(partition, 0)
        self._passed.clear()

    async def _pass_over_markers(self, consumer: AIOKafkaConsumer, partition: TopicPartition) -> None:
        # A topic may end in control records (H21): the consumer steps over them, and no batch tells of it.
        # Seen twice with nothing in hand, a position means that all before it is done.
        position = await consumer.position(partition)
        if not self._busy() and self._positions.get(partition) == position:
            self._passed[partition] = position
        self._positions[partition] = -1 if self._busy() else position

    def _tell(self, of: TopicPartition, lag: int) -> None:
        self._metrics.set("kvittera_consumer_lag", lag, topic=of.topic, partition=str(of.partition))
