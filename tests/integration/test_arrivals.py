"""Whether all that Kafka holds now is applied, told exactly: by it a link is unknown, or only not known yet."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from services.chassis.arrivals import Arrivals
from services.chassis.consumer import Reader
from services.chassis.postgres import Database, Pool
from services.chassis.settings import Settings
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


async def test_what_no_fetch_has_told_of_yet_counts_as_missing(settings: Settings, pool: Pool) -> None:
    topic = await make_topic(settings)
    await produce(settings, topic, numbered(1, 3))
    reader = Reader(settings, make_fence(pool, topic, Effects()), [topic])
    arrivals = Arrivals(reader)
    async with reading(reader, own_loop(reader, settings)) as stop:
        await until(arrivals.all_applied, stop)
        assert reader.consumer is not None
        reader.consumer.pause(*reader.partitions())
        await asyncio.sleep(1)  # a fetch that is under way ends without records
        await produce(settings, topic, numbered(4, 6))
        assert not await arrivals.all_applied()
        reader.consumer.resume(*reader.partitions())
        await until(arrivals.all_applied, stop)
    assert await effects_of(pool) == numbered(1, 6)


async def test_what_another_process_of_the_group_has_not_applied_counts_as_missing(
    settings: Settings, pool: Pool
) -> None:
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
        free.clear()
        assert b.consumer is not None
        (of_b,) = b.consumer.assignment()
        await produce(settings, topic, numbered(1, 3), partition=of_b.partition)
        await asyncio.sleep(0.5)
        of_all = [await arrivals.all_applied() for arrivals in both]
        free.set()
        for arrivals in both:
            await until(arrivals.all_applied, stop)
    assert of_all == [False, False]


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

        sending = asyncio.create_task(traffic())
        found = [await arrivals.all_applied() for _ in range(10)]
        over.set()
        await sending
    assert found == [True] * 10


async def test_a_thousand_that_ask_at_once_cost_two_looks_and_each_gets_one_that_began_after_it_asked(
    settings: Settings, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = await make_topic(settings)
    reader = Reader(settings, make_fence(pool, topic, Effects()), [topic])
    arrivals = Arrivals(reader)
    async with reading(reader, own_loop(reader, settings)) as stop:
        await until(arrivals.all_applied, stop)
        assert reader.consumer is not None
        reader.consumer.pause(*reader.partitions())
        await asyncio.sleep(1)  # a fetch that is under way ends without records
        ends, began, go_on = reader.consumer.end_offsets, list[int](), asyncio.Event()

        async def held_up(*args: object) -> object:
            told = await ends(*args)
            began.append(1)
            await go_on.wait()
            return told

        monkeypatch.setattr(reader.consumer, "end_offsets", held_up)
        looks = arrivals._looks
        early = asyncio.create_task(arrivals.all_applied())
        await until(_holds(lambda: arrivals._looks > looks and bool(began)), stop)
        await produce(settings, topic, numbered(1, 1))
        late = [asyncio.create_task(arrivals.all_applied()) for _ in range(1000)]
        await asyncio.sleep(0)
        go_on.set()
        assert await early
        assert {await asked for asked in late} == {False}
    assert arrivals._looks - looks == 2


async def test_a_broker_that_does_not_answer_leaves_it_open_within_moments(
    settings: Settings, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = await make_topic(settings)
    reader = Reader(settings, make_fence(pool, topic, Effects()), [topic])
    arrivals = Arrivals(reader)
    async with reading(reader, own_loop(reader, settings)) as stop:
        await until(arrivals.all_applied, stop)
        assert reader.consumer is not None

        async def silent(*_: object) -> object:
            return await asyncio.Event().wait()

        with monkeypatch.context() as broken:
            broken.setattr(reader.consumer, "end_offsets", silent)
            async with asyncio.timeout(5):
                assert not await arrivals.all_applied()
        assert await arrivals.all_applied()
