"""Whether all that Kafka holds now is applied, told exactly: by it a link is unknown, or only not known yet."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from aiokafka import TopicPartition

from services.chassis.arrivals import Arrivals
from services.chassis.consumer import Reader
from services.chassis.postgres import Database, Pool
from services.chassis.settings import Settings
from services.chassis.stretches import with_records
from tests.harness import (
    Effects,
    effects_of,
    make_effects,
    make_fence,
    make_topic,
    numbered,
    own_loop,
    produce,
    producing,
    progress_of,
    reading,
    until,
)


@pytest.fixture
async def pool(notifier_pool: Pool) -> Pool:
    await make_effects(notifier_pool)
    return notifier_pool


def _holds(said: Callable[[], bool]) -> Callable[[], Awaitable[bool]]:
    async def holds() -> bool:
        return said()

    return holds


@dataclass
class Alone:
    """A process that reads a topic by itself, and knows that all is applied when the test begins."""

    topic: str
    reader: Reader[bytes]
    arrivals: Arrivals
    stop: asyncio.Event

    async def is_deaf(self) -> None:
        """Nothing is read from now on."""
        assert self.reader.consumer is not None
        self.reader.consumer.pause(*self.reader.partitions())
        await asyncio.sleep(1)  # a fetch that is under way ends without records


@pytest.fixture
async def alone(settings: Settings, pool: Pool) -> AsyncIterator[Alone]:
    topic = await make_topic(settings)
    reader = Reader(settings, make_fence(pool, topic, Effects()), [topic])
    arrivals = Arrivals(reader)
    async with reading(reader, own_loop(reader, settings)) as stop:
        await until(arrivals.all_applied, stop)
        yield Alone(topic, reader, arrivals, stop)


@dataclass
class Two:
    """Two processes of a group, each with one partition of the topic; they apply nothing while `free` is not set."""

    topic: str
    both: tuple[Arrivals, Arrivals]
    of_other: TopicPartition
    free: asyncio.Event
    stop: asyncio.Event


@asynccontextmanager
async def two(settings: Settings, pool: Pool) -> AsyncIterator[Two]:
    topic = await make_topic(settings, partitions=2)
    free = asyncio.Event()
    free.set()

    def member(name: str) -> Reader[bytes]:
        fence = make_fence(pool, topic, Effects())
        apply = fence.apply

        async def when_free(connection: Database, values: list[bytes]) -> None:
            await free.wait()
            await apply(connection, values)

        fence.apply = when_free
        return Reader(settings, fence, [topic], name)

    a, b = member("a"), member("b")

    async def both_read() -> bool:
        return all(r.consumer is not None and len(r.consumer.assignment()) == 1 for r in (a, b))

    async with reading(a, own_loop(a, settings)) as stop, reading(b, own_loop(b, settings)):
        await until(both_read, stop)
        both = Arrivals(a), Arrivals(b)
        for arrivals in both:
            await until(arrivals.all_applied, stop)
        assert b.consumer is not None
        (of_other,) = b.consumer.assignment()
        try:
            yield Two(topic, both, of_other, free, stop)
        finally:
            free.set()


async def test_what_no_fetch_has_told_of_yet_counts_as_missing(settings: Settings, pool: Pool, alone: Alone) -> None:
    await produce(settings, alone.topic, numbered(1, 3))
    await until(alone.arrivals.all_applied, alone.stop)
    await alone.is_deaf()
    await produce(settings, alone.topic, numbered(4, 6))
    assert not await alone.arrivals.all_applied()
    assert alone.reader.consumer is not None
    alone.reader.consumer.resume(*alone.reader.partitions())
    await until(alone.arrivals.all_applied, alone.stop)
    assert await effects_of(pool) == numbered(1, 6)


async def test_what_another_process_of_the_group_has_not_applied_counts_as_missing(
    settings: Settings, pool: Pool
) -> None:
    async with two(settings, pool) as group:
        group.free.clear()
        await produce(settings, group.topic, numbered(1, 3), partition=group.of_other.partition)
        await asyncio.sleep(0.5)
        of_all = [await arrivals.all_applied() for arrivals in group.both]
        group.free.set()
        for arrivals in group.both:
            await until(arrivals.all_applied, group.stop)
    assert of_all == [False, False]


async def test_a_partition_of_another_process_that_ends_in_a_marker_of_a_transaction_is_applied_and_seen_once(
    settings: Settings, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = list[object]()

    async def counted(*of: Any) -> set[TopicPartition]:
        looks.append(of)
        return await with_records(*of)

    monkeypatch.setattr("services.chassis.arrivals.with_records", counted)
    async with two(settings, pool) as group, producing(settings, transactional_id=f"tx-{group.topic}") as producer:
        asked, part = group.both[0], group.of_other.partition
        async with producer.transaction():
            await producer.send(group.topic, b"1", partition=part)
        await producer.begin_transaction()
        await producer.send_and_wait(group.topic, b"aborted", partition=part)
        await producer.abort_transaction()
        while await effects_of(pool) != numbered(1, 1):
            await asyncio.sleep(0.03)
        await until(asked.all_applied, group.stop, seconds=10)
        assert await progress_of(pool, group.topic, part) == 1  # the marker, what was aborted and its own are behind it
        assert [await asked.all_applied() for _ in range(3)] == [True] * 3
        assert len(looks) == 1

        group.free.clear()
        async with producer.transaction():
            await producer.send(group.topic, b"2", partition=part)
        assert not await asked.all_applied()
        group.free.set()
        await until(asked.all_applied, group.stop, seconds=10)
    assert await effects_of(pool) == numbered(1, 2)


async def test_under_steady_traffic_what_was_there_when_it_was_asked_is_waited_for(
    settings: Settings, pool: Pool
) -> None:
    topic = await make_topic(settings)
    slow = Effects(before=lambda: asyncio.sleep(0.05))
    reader = Reader(settings, make_fence(pool, topic, slow), [topic])
    arrivals = Arrivals(reader, patience=10)
    async with reading(reader, own_loop(reader, settings)) as stop, producing(settings) as producer:
        await until(arrivals.all_applied, stop)
        over = asyncio.Event()

        async def traffic() -> None:
            while not over.is_set():
                await producer.send_and_wait(topic, b"1")
                await asyncio.sleep(0.005)  # a fifth of what is applied at most: it never falls behind, nor ever rests

        sending = asyncio.create_task(traffic())
        found = [await arrivals.all_applied() for _ in range(10)]
        over.set()
        await sending
    assert found == [True] * 10


async def test_a_thousand_that_ask_at_once_cost_two_looks_and_each_gets_one_that_began_after_it_asked(
    settings: Settings, alone: Alone, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrivals = alone.arrivals
    await alone.is_deaf()
    assert alone.reader.consumer is not None
    ends, began, go_on = alone.reader.consumer.end_offsets, list[int](), asyncio.Event()

    async def held_up(*args: object) -> object:
        told = await ends(*args)
        began.append(1)
        await go_on.wait()
        return told

    monkeypatch.setattr(alone.reader.consumer, "end_offsets", held_up)
    looks = arrivals._looks
    early = asyncio.create_task(arrivals.all_applied())
    await until(_holds(lambda: arrivals._looks > looks and bool(began)), alone.stop)
    await produce(settings, alone.topic, numbered(1, 1))
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
        broken.setattr(alone.reader.consumer, "end_offsets", silent)
        async with asyncio.timeout(5):
            assert not await alone.arrivals.all_applied()
    assert await alone.arrivals.all_applied()
