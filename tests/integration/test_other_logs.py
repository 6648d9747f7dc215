"""Progress that does not belong to the log that Kafka has stops a reader before anything of it counts."""

import asyncio
from types import SimpleNamespace
from typing import cast

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from services.chassis import consumer
from services.chassis.failures import MustStop
from services.chassis.kafka import make_admin
from services.chassis.postgres import Pool
from services.chassis.settings import Settings
from tests.harness import make_topic, numbered, progress_of
from tests.own_topic import OwnTopic, pool, topic

__all__ = ["pool", "topic"]


async def test_records_deleted_before_they_were_read_stop_the_service(topic: OwnTopic) -> None:
    from aiokafka.admin import RecordsToDelete

    await topic.send(numbered(1, 5))
    async with topic.read() as reading:
        await reading.applied(5)
    await topic.send(numbered(6, 10))
    admin = make_admin(topic.settings)
    await admin.start()
    await admin.delete_records({TopicPartition(topic.name, 0): RecordsToDelete(before_offset=8)})
    await admin.close()
    with pytest.raises(MustStop, match="records 5 to 7 were deleted before they were read"):
        async with topic.read() as reading:
            await reading.ended()
    assert await topic.effects() == numbered(1, 5)
    assert await progress_of(topic.pool, topic.name) == 5


async def test_a_topic_made_again_stops_the_next_start_and_nothing_of_it_counts(topic: OwnTopic) -> None:
    await topic.send(numbered(1, 5))
    async with topic.read() as reading:
        await reading.applied(5)
    await _make_again(topic)
    await topic.send(numbered(101, 120))
    with pytest.raises(MustStop, match="is not the topic that progress is kept for"):
        async with topic.read() as reading:
            await reading.ended()
    assert await topic.effects() == numbered(1, 5)


async def test_a_topic_made_again_while_it_is_read_stops_the_service_and_nothing_of_it_counts(topic: OwnTopic) -> None:
    await topic.send(numbered(1, 5))
    with pytest.raises(MustStop, match=r"deleted and made again|ends at|does not exist"):  # noqa: PT012
        async with topic.read() as reading:
            await reading.applied(5)
            await _make_again(topic)
            await topic.send(numbered(101, 104))
            await reading.ended()
    assert await topic.effects() == numbered(1, 5)


async def test_a_topic_that_was_away_when_partitions_were_given_out_and_came_back_as_another_stops_the_service(
    topic: OwnTopic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "_IDENTITY_EVERY", 0)
    reader, stop = topic.reader(), asyncio.Event()
    assert await reader.prepare(stop)
    await _make_again(topic)
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
    topic: OwnTopic, change: str, says: str
) -> None:
    await topic.send(numbered(1, 5))
    async with topic.read() as reading:
        await reading.applied(5)
    await topic.pool.execute(change)
    with pytest.raises(MustStop, match=says):
        async with topic.read() as reading:
            await reading.ended()
    assert await topic.effects() == numbered(1, 5)


async def test_a_missing_topic_says_what_to_run(settings: Settings, pool: Pool) -> None:
    missing = OwnTopic(settings, pool, "t-missing")
    with pytest.raises(MustStop, match="topic t-missing does not exist: run `kvittera topics apply`"):
        await missing.reader().prepare(asyncio.Event())


async def _make_again(topic: OwnTopic) -> None:
    admin = make_admin(topic.settings)
    await admin.start()
    await admin.delete_topics([topic.name])
    async with asyncio.timeout(60):
        while topic.name in await admin.list_topics():
            await asyncio.sleep(0.05)
    await admin.close()
    await make_topic(topic.settings, name=topic.name)
