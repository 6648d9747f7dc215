"""A reader outlives its Kafka: nothing is lost over a crash of the broker, and stopping never waits for it."""

import asyncio
import time

import pytest

from services.chassis.arrivals import Arrivals
from services.chassis.postgres import Pool
from services.chassis.settings import Settings
from services.embedded.kafka import EmbeddedKafka
from tests.harness import faststream, numbered, own_loop
from tests.own_topic import Feed, OwnTopic, pool

__all__ = ["pool"]


@pytest.mark.parametrize("feed", [faststream, own_loop])
async def test_a_reader_goes_on_after_a_crash_of_the_broker_and_stops_in_time_without_one(
    settings: Settings,
    pool: Pool,
    own_kafka: EmbeddedKafka,
    feed: Feed,
) -> None:
    settings = settings.model_copy(update={"kafka_bootstrap": own_kafka.bootstrap, "stall_seconds": 20})
    topic = await OwnTopic.make(settings, pool)
    reader = topic.reader()
    arrivals = Arrivals(reader)

    async def says_that_more_may_be_there() -> bool:
        return not await arrivals.all_applied()

    async with topic.read(reader, feed=feed) as reading:
        await topic.send(numbered(1, 10))
        await reading.applied(10)
        await reading.until(arrivals.all_applied)
        own_kafka.kill()
        await reading.until(says_that_more_may_be_there)
        assert not reading.stop.is_set()
        own_kafka.start()
        await topic.send(numbered(11, 20))
        await reading.applied(20)
        await reading.until(arrivals.all_applied)
        own_kafka.kill()
        await asyncio.sleep(0.5)
        began = time.monotonic()
    assert time.monotonic() - began < settings.drain_seconds - 2
    assert await topic.effects() == numbered(1, 20)


@pytest.mark.parametrize("feed", [faststream, own_loop])
async def test_a_reader_asks_the_next_broker_of_the_list_when_the_first_is_away(
    settings: Settings, pool: Pool, feed: Feed
) -> None:
    settings = settings.model_copy(update={"kafka_bootstrap": f"127.0.0.1:1, {settings.kafka_bootstrap}"})
    topic = await OwnTopic.make(settings, pool)
    await topic.send(numbered(1, 5))
    async with topic.read(feed=feed) as reading:
        await reading.applied(5)
    assert await topic.effects() == numbered(1, 5)


async def test_a_reader_that_waits_for_kafka_stops_at_once(settings: Settings, pool: Pool) -> None:
    settings = settings.model_copy(update={"kafka_bootstrap": "127.0.0.1:1", "boot_patience_seconds": 60})
    began = time.monotonic()
    async with OwnTopic(settings, pool, "t").read(feed=faststream) as reading:
        await asyncio.sleep(0.5)
        assert not reading.stop.is_set()
    assert time.monotonic() - began < 40  # far less than the patience of 60
