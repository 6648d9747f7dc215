"""Counting the past into tables that nobody reads yet: partitions in lanes, so that one is read while another waits.

A lane waits for PostgreSQL half of its time; two keep both the process and PostgreSQL busy.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import asyncpg
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from schemas.topics import CARDS
from services.aggregator.counting.answer_columns import Block, blocks_reader
from services.aggregator.counting.reading import GROUP, TOPICS, Counted, reader
from services.aggregator.counting.units import Units
from services.aggregator.handlers import CountBatch
from services.aggregator.history.held_cells import HeldCells
from services.aggregator.history.past import Batch, Positions, batches, begin, reading_again
from services.chassis.applied_batches import name_of
from services.chassis.failures import TryAgain
from services.chassis.fence import Fence
from services.chassis.metrics import Metrics
from services.chassis.pauses import pauses
from services.chassis.postgres import Pool
from services.chassis.settings import Settings

_LANES = 2
_SERVICE = "aggregator"


@dataclass(slots=True)
class Tally:
    """Counts records on their way through the fence. A batch may be tried again, so what is empty is kept by name."""

    read: int = 0
    empty: set[str] = field(default_factory=set)
    metrics: Metrics = field(default_factory=Metrics)

    @property
    def counted(self) -> int:
        """Records whose effects the fence committed."""
        samples = [s for m in self.metrics.registry.collect() for s in m.samples if s.name == "kvittera_records_total"]
        return int(sum(s.value for s in samples if s.labels["result"] == "applied"))


@dataclass(slots=True)
class _Lane:
    pool: Pool
    consumer: AIOKafkaConsumer
    partitions: Sequence[TopicPartition]
    fence: Fence[Counted | Block]
    held: HeldCells
    tally: Tally

    async def count(self, targets: Positions) -> None:
        async for batch in batches(self.consumer, {p: targets[p] for p in self.partitions}):
            await self._take(batch)
            await self.held.settle(self.pool)
            self.tally.read += sum(map(len, batch.values()))

    async def _take(self, batch: Batch) -> None:
        for pause in pauses():
            try:
                await self.fence.take(batch)
            except (TryAgain, asyncpg.DeadlockDetectedError):
                await asyncio.sleep(pause)  # the other lane met the same answer, on another topic
            else:
                return


@dataclass(slots=True)
class Lanes:
    """All partitions, each in one lane."""

    lanes: Sequence[_Lane]
    tally: Tally
    first: Positions
    """The first record that Kafka still has of each partition."""

    async def count(self, targets: Positions) -> None:
        """Count up to the targets.

        Raises:
            Exception: the first that ends a lane.
        """
        try:
            async with asyncio.TaskGroup() as group:
                for lane in self.lanes:
                    group.create_task(lane.count(targets))
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def write(self) -> None:
        """Write the cells that are held in memory."""
        for lane in self.lanes:
            await lane.held.write(lane.pool)


@asynccontextmanager
async def reading_lanes(
    settings: Settings, pool: Pool, sql: Mapping[str, str], partitions: Sequence[TopicPartition]
) -> AsyncIterator[Lanes]:
    """Lanes at the first records that Kafka still has.

    Raises:
        MustStop: Kafka cannot be reached.
    """
    tally = Tally()
    first: dict[TopicPartition, int] = {}
    async with AsyncExitStack() as stack:
        lanes = []
        for number in range(min(_LANES, len(partitions))):
            own = sorted(partitions)[number::_LANES]
            consumer = await stack.enter_async_context(reading_again(settings, f"kvittera-replay-{number}"))
            first.update(await begin(consumer, own))
            held = HeldCells(sql)
            lanes.append(_Lane(pool, consumer, own, _fence(pool, held, tally), held, tally))
        yield Lanes(lanes, tally, first)


def _fence(pool: Pool, held: HeldCells, tally: Tally) -> Fence[Counted | Block]:
    understand, units = reader(), Units(pool, ())

    def decode(record: ConsumerRecord) -> Counted | None:
        meant = understand(record)
        if meant is None:
            tally.empty.add(name_of(record))
        return meant

    return Fence(
        pool=pool,
        service=_SERVICE,
        group=GROUP,
        decode=decode,
        together=blocks_reader(units),
        apply=CountBatch(units, tally.metrics, lambda _, __: None, hold=held.hold),
        dead_letter_topics={t: str(CARDS[t].dead_letter) for t in TOPICS},
        metrics=tally.metrics,
    )
