"""Progress that does not belong to the log that Kafka has stops a reader before anything of it counts."""

import asyncio
from types import SimpleNamespace
from typing import cast

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from services.chassis import consumer
from services.chassis.consumer import Reader
from services.chassis.failures import MustStop
from services.chassis.kafka import make_admin
from services.chassis.postgres import Pool
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
    progress_of,
    reading,
    until,
)


@pytest.fixture
async def pool(notifier_pool: Pool) -> Pool:
    await make_effects(notifier_pool)
    return notifier_pool


async def test_records_deleted_before_they_were_read_stop_the_service(settings: Settings, pool: Pool) -> None:
    from aiokafka.admin import RecordsToDelete

    topic = await make_topic(settings)
    await produce(settings, topic, numbered(1, 5))
    reader = Reader(settings, make_fence(pool, topic, Effects()), [topic])
    async with reading(reader, own_loop(reader, settings)) as stop:
        await until(lambda: _has(pool, 5), stop)
    await produce(settings, topic, numbered(6, 10))
    admin = make_admin(settings)
    await admin.start()
    await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(before_offset=8)})
    await admin.close()
    again = Reader(settings, make_fence(pool, topic, Effects()), [topic])
    with pytest.raises(MustStop, match="records 5 to 7 were deleted before they were read"):
        async with reading(again, own_loop(again, settings)) as stop:
            await asyncio.wait_for(stop.wait(), 90)
    assert await effects_of(pool) == numbered(1, 5)
    assert await progress_of(pool, topic) == 5


async def test_a_topic_made_again_stops_the_next_start_and_nothing_of_it_counts(settings: Settings, pool: Pool) -> None:
    topic = await make_topic(settings)
    await produce(settings, topic, numbered(1, 5))
    reader = Reader(settings, make_fence(pool, topic, Effects()), [topic])
    async with reading(reader, own_loop(reader, settings)) as stop:
        await until(lambda: _has(pool, 5), stop)
    await _make_again(settings, topic)
    await produce(settings, topic, numbered(101, 120))
    again = Reader(settings, make_fence(pool, topic, Effects()), [topic])
    with pytest.raises(MustStop, match="is not the topic that progress is kept for"):
        async with reading(again, own_loop(again, settings)) as stop:
            await asyncio.wait_for(stop.wait(), 90)
    assert await effects_of(pool) == numbered(1, 5)


async def test_a_topic_made_again_while_it_is_read_stops_the_service_and_nothing_of_it_counts(
    settings: Settings, pool: Pool
) -> None:
    topic = await make_topic(settings)
    await produce(settings, topic, numbered(1, 5))
    reader = Reader(settings, make_fence(pool, topic, Effects()), [topic])
    with pytest.raises(MustStop, match=r"deleted and made again|ends at|does not exist"):  # noqa: PT012
        async with reading(reader, own_loop(reader, settings)) as stop:
            await until(lambda: _has(pool, 5), stop)
            await _make_again(settings, topic)
            await produce(settings, topic, numbered(101, 104))
            await asyncio.wait_for(stop.wait(), 90)
    assert await effects_of(pool) == numbered(1, 5)


async def test_a_topic_that_was_away_when_partitions_were_given_out_and_came_back_as_another_stops_the_service(
    settings: Settings, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "_IDENTITY_EVERY", 0)
    topic, stop = await make_topic(settings), asyncio.Event()
    reader = Reader(settings, make_fence(pool, topic, Effects()), [topic])
    assert await reader.prepare(stop)
    await _make_again(settings, topic)
    consumer_of_nothing = SimpleNamespace(pause=lambda: None, resume=lambda: None, assignment=list)
    reader.read_through(lambda: cast("AIOKafkaConsumer", consumer_of_nothing))
    await reader.on_partitions_assigned([])  # aiokafka asks for metadata again only after five minutes
    with pytest.raises(MustStop, match=r"deleted and made again while it was read|does not exist"):
        await asyncio.wait_for(reader.watch(stop), 10)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("UPDATE progress SET next = 99", "ends at 5 but was read up to 99"),
        ("UPDATE progress SET cluster_id = 'elsewhere'", "another cluster"),
    ],
)
async def test_progress_that_does_not_belong_to_this_log_stops_the_start(
    settings: Settings, pool: Pool, change: str, says: str
) -> None:
    topic = await make_topic(settings)
    await produce(settings, topic, numbered(1, 5))
    reader = Reader(settings, make_fence(pool, topic, Effects()), [topic])
    async with reading(reader, own_loop(reader, settings)) as stop:
        await until(lambda: _has(pool, 5), stop)
    await pool.execute(change)
    again = Reader(settings, make_fence(pool, topic, Effects()), [topic])
    with pytest.raises(MustStop, match=says):
        async with reading(again, own_loop(again, settings)) as stop:
            await asyncio.wait_for(stop.wait(), 90)
    assert await effects_of(pool) == numbered(1, 5)


async def test_a_missing_topic_says_what_to_run(settings: Settings, pool: Pool) -> None:
    reader = Reader(settings, make_fence(pool, "t-missing", Effects()), ["t-missing"])
    with pytest.raises(MustStop, match="topic t-missing does not exist: run `kvittera topics apply`"):
        await reader.prepare(asyncio.Event())


async def _make_again(settings: Settings, topic: str) -> None:
    admin = make_admin(settings)
    await admin.start()
    await admin.delete_topics([topic])
    async with asyncio.timeout(60):
        while topic in await admin.list_topics():
            await asyncio.sleep(0.05)
    await admin.close()
    await make_topic(settings, name=topic)


async def _has(pool: Pool, count: int) -> bool:
    found: int = await pool.fetchval("SELECT count(*) FROM effect")
    assert found <= count
    return found == count
