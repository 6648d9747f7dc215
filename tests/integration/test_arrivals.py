"""Whether all that Kafka holds now is applied, told exactly: by it a link is unknown, or only not known yet."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaConnectionError

from services.chassis.arrivals import Arrivals
from services.chassis.consumer import Reader
from services.chassis.postgres import Database, Pool
from services.chassis.settings import Settings
from services.chassis.stretches import with_records
from tests.harness import Effects, numbered, producing, progress_of
from tests.own_topic import OwnTopic, Reading, pool, topic

PATIENT = 30
"""Seconds, where the answer has to be yes however busy the machine is."""

__all__ = ["pool", "topic"]


def _holds(said: Callable[[], bool]) -> Callable[[], Awaitable[bool]]:
    async def holds() -> bool:
        return said()

    return holds


@dataclass
class Alone:
    """A process that reads a topic by itself, and knows that all is applied when the test begins."""

    topic: OwnTopic
    reading: Reading
    arrivals: Arrivals

    @property
    def consumer(self) -> AIOKafkaConsumer:
        assert self.reading.reader.consumer is not None
        return self.reading.reader.consumer

    async def is_deaf(self) -> None:
        """Nothing is read from now on."""
        self.consumer.pause(*self.reading.reader.partitions())
        await asyncio.sleep(1)  # a fetch that is under way ends without records


@pytest.fixture
async def alone(topic: OwnTopic) -> AsyncIterator[Alone]:
    async with topic.read() as reading:
        arrivals = Arrivals(reading.reader)
        await reading.until(arrivals.all_applied)
        yield Alone(topic, reading, arrivals)


@dataclass
class Two:
    """Two processes of a group, each with one partition of the topic; they apply nothing while `free` is not set."""

    topic: OwnTopic
    both: tuple[Arrivals, Arrivals]
    of_other: TopicPartition
    free: asyncio.Event
    reading: Reading


@asynccontextmanager
async def two(settings: Settings, pool: Pool) -> AsyncIterator[Two]:
    topic = await OwnTopic.make(settings, pool, partitions=2)
    free = asyncio.Event()
    free.set()

    def member(name: str) -> Reader[bytes]:
        reader = topic.reader(member=name)
        apply = reader.fence.apply

        async def when_free(connection: Database, values: list[bytes]) -> None:
            await free.wait()
            await apply(connection, values)

        reader.fence.apply = when_free
        return reader

    a, b = member("a"), member("b")

    async def both_read() -> bool:
        return all(r.consumer is not None and len(r.consumer.assignment()) == 1 for r in (a, b))

    async with topic.read(a) as reading, topic.read(b):
        await reading.until(both_read)
        both = Arrivals(a), Arrivals(b)
        for arrivals in both:
            await reading.until(arrivals.all_applied)
        assert b.consumer is not None
        (of_other,) = b.consumer.assignment()
        try:
            yield Two(topic, both, of_other, free, reading)
        finally:
            free.set()


async def test_what_no_fetch_has_told_of_yet_counts_as_missing(alone: Alone) -> None:
    await alone.topic.send(numbered(1, 3))
    await alone.reading.until(alone.arrivals.all_applied)
    await alone.is_deaf()
    await alone.topic.send(numbered(4, 6))
    assert not await alone.arrivals.all_applied()
    alone.consumer.resume(*alone.reading.reader.partitions())
    await alone.reading.until(alone.arrivals.all_applied)
    assert await alone.topic.effects() == numbered(1, 6)


async def test_what_another_process_of_the_group_has_not_applied_counts_as_missing(
    settings: Settings, pool: Pool
) -> None:
    async with two(settings, pool) as group:
        group.free.clear()
        await group.topic.send(numbered(1, 3), partition=group.of_other.partition)
        await asyncio.sleep(0.5)
        of_all = [await arrivals.all_applied() for arrivals in group.both]
        group.free.set()
        for arrivals in group.both:
            await group.reading.until(arrivals.all_applied)
    assert of_all == [False, False]


async def test_a_partition_of_another_process_that_ends_in_a_marker_of_a_transaction_is_applied_and_seen_once(
    settings: Settings, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = list[object]()

    async def counted(*of: Any) -> set[TopicPartition]:
        looks.append(of)
        return await with_records(*of)

    monkeypatch.setattr("services.chassis.arrivals.with_records", counted)
    async with two(settings, pool) as group, producing(settings, transactional_id=f"tx-{group.topic.name}") as producer:
        asked, part = group.both[0], group.of_other.partition
        async with producer.transaction():
            await producer.send(group.topic.name, b"1", partition=part)
        await producer.begin_transaction()
        await producer.send_and_wait(group.topic.name, b"aborted", partition=part)
        await producer.abort_transaction()
        while await group.topic.effects() != numbered(1, 1):
            await asyncio.sleep(0.03)
        consumer = asked.reader.consumer
        assert consumer is not None
        # Behind it are the marker, what was aborted and its own marker, which Kafka writes after its answer.
        while (await consumer.end_offsets([group.of_other]))[group.of_other] != 4:
            await asyncio.sleep(0.03)
        assert await progress_of(pool, group.topic.name, part) == 1
        asked.patience = PATIENT  # a look that is cut short on a busy machine would look again
        assert [await asked.all_applied() for _ in range(3)] == [True] * 3
        asked.patience = 1
        assert len(looks) == 1

        group.free.clear()
        async with producer.transaction():
            await producer.send(group.topic.name, b"2", partition=part)
        assert not await asked.all_applied()
        group.free.set()
        await group.reading.until(asked.all_applied)
    assert await group.topic.effects() == numbered(1, 2)


async def test_under_steady_traffic_what_was_there_when_it_was_asked_is_waited_for(
    settings: Settings, topic: OwnTopic
) -> None:
    slow = Effects(before=lambda: asyncio.sleep(0.05))
    async with topic.read(topic.reader(slow)) as reading, producing(settings) as producer:
        arrivals = Arrivals(reading.reader, patience=PATIENT)
        await reading.until(arrivals.all_applied)
        over = asyncio.Event()

        async def traffic() -> None:
            while not over.is_set():
                await producer.send_and_wait(topic.name, b"1")
                await asyncio.sleep(0.005)  # a fifth of what is applied at most: it never falls behind, nor ever rests

        sending = asyncio.create_task(traffic())
        found = [await arrivals.all_applied() for _ in range(10)]
        over.set()
        await sending
    assert found == [True] * 10


async def test_a_thousand_that_ask_at_once_cost_two_looks_and_each_gets_one_that_began_after_it_asked(
    alone: Alone, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrivals = alone.arrivals
    await alone.is_deaf()
    ends, began, go_on = alone.consumer.end_offsets, list[int](), asyncio.Event()

    async def held_up(*args: object) -> object:
        told = await ends(*args)
        began.append(1)
        await go_on.wait()
        return told

    monkeypatch.setattr(alone.consumer, "end_offsets", held_up)
    looks, arrivals.patience = arrivals._looks, PATIENT
    early = asyncio.create_task(arrivals.all_applied())
    await alone.reading.until(_holds(lambda: arrivals._looks > looks and bool(began)))
    arrivals.patience = 1
    await alone.topic.send(numbered(1, 1))
    late = [asyncio.create_task(arrivals.all_applied()) for _ in range(1000)]
    await asyncio.sleep(0)
    go_on.set()
    assert await early
    assert {await asked for asked in late} == {False}
    assert arrivals._looks - looks == 2


async def test_a_broker_that_does_not_answer_leaves_it_open_within_moments(
    alone: Alone, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(*_: object) -> object:
        return await asyncio.Event().wait()

    with monkeypatch.context() as broken:
        broken.setattr(alone.consumer, "end_offsets", silent)
        async with asyncio.timeout(5):
            assert not await alone.arrivals.all_applied()
    await alone.reading.until(alone.arrivals.all_applied)


async def test_a_process_is_cut_off_while_kafka_does_not_answer_it_and_not_while_it_waits_for_its_share(
    alone: Alone, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> object:
        raise KafkaConnectionError

    reader = alone.reading.reader
    assert not reader.is_cut_off(0)
    with monkeypatch.context() as broken:
        broken.setattr(alone.consumer, "end_offsets", away)
        await alone.reading.until(_holds(partial(reader.is_cut_off, 0)))
        assert not reader.is_cut_off(60)
        await alone.reading.until(_holds(partial(reader.is_cut_off, 2)))
        reader.on_partitions_revoked([])
        assert not reader.is_cut_off(0)
