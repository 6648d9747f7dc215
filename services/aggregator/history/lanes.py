"""Counting the past into tables that nobody reads yet: partitions in lanes, so that one is read while another waits.

A lane waits for PostgreSQL half of its time; two keep both the process and PostgreSQL busy.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import asyncpg
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from schemas.feedback import FeedbackCase
from schemas.topics import CARDS, FEEDBACK_CASE
from services.aggregator.counting.answer_columns import Block, blocks_reader
from services.aggregator.counting.complaints import GROUP as GROUP_OF_CASES
from services.aggregator.counting.complaints import KeepComplaints
from services.aggregator.counting.reading import GROUP, TOPICS, Counted, reader
from services.aggregator.counting.units import Units
from services.aggregator.handlers import CountBatch
from services.aggregator.history.held_cells import HeldCells
from services.aggregator.history.past import Batch, Positions, batches, begin, reading_again
from services.chassis.applied_batches import name_of
from services.chassis.failures import TryAgain
from services.chassis.fence import Fence
from services.chassis.meanings import Decode
from services.chassis.metrics import Metrics
from services.chassis.pauses import pauses
from services.chassis.postgres import Pool
from services.chassis.records import Received, reading
from services.chassis.settings import Settings

T = TypeVar("T")
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
    fence: Fence[Any]
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
        for number, own in enumerate(_shares(partitions)):
            consumer = await stack.enter_async_context(reading_again(settings, f"kvittera-replay-{number}"))
            first.update(await begin(consumer, own))
            held = HeldCells(sql)
            of_cases = own[0].topic == FEEDBACK_CASE
            fence: Fence[Any] = _fence_of_cases(pool, tally) if of_cases else _fence(pool, held, tally)
            lanes.append(_Lane(pool, consumer, own, fence, held, tally))
        yield Lanes(lanes, tally, first)


def _shares(partitions: Sequence[TopicPartition]) -> list[Sequence[TopicPartition]]:
    """The partitions of each lane; cases, which are few, have one of their own."""
    counted = sorted(p for p in partitions if p.topic != FEEDBACK_CASE)
    cases = sorted(p for p in partitions if p.topic == FEEDBACK_CASE)
    return [own for own in (*(counted[n::_LANES] for n in range(_LANES)), cases) if own]


def _noting_empty(understand: Decode[T], tally: Tally) -> Decode[T]:
    def decode(record: ConsumerRecord) -> T | None:
        meant = understand(record)
        if meant is None:
            tally.empty.add(name_of(record))
        return meant

    return decode


def _fence_of_cases(pool: Pool, tally: Tally) -> Fence[Received[FeedbackCase]]:
    return Fence(
        pool=pool,
        service=_SERVICE,
        group=GROUP_OF_CASES,
        decode=_noting_empty(reading(FeedbackCase, GROUP_OF_CASES), tally),
        apply=KeepComplaints(),
        dead_letter_topics={FEEDBACK_CASE: str(CARDS[FEEDBACK_CASE].dead_letter)},
        metrics=tally.metrics,
    )


def _fence(pool: Pool, held: HeldCells, tally: Tally) -> Fence[Counted | Block]:
    units = Units(pool, ())
    return Fence(
        pool=pool,
        service=_SERVICE,
        group=GROUP,
        decode=_noting_empty(reader(), tally),
        together=blocks_reader(units),
        apply=CountBatch(units, tally.metrics, lambda _, __: None, hold=held.hold),
        dead_letter_topics={t: str(CARDS[t].dead_letter) for t in TOPICS},
        metrics=tally.metrics,
    )
