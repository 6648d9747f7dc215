"""A reader outlives its Kafka: nothing is lost over a crash of the broker, and stopping never waits for it."""

import asyncio
import time
from collections.abc import Callable

import pytest

from services.chassis.arrivals import Arrivals
from services.chassis.consumer import Reader
from services.chassis.lifecycle import Task
from services.chassis.postgres import Pool
from services.chassis.settings import Settings
from services.embedded.kafka import EmbeddedKafka
from tests.harness import (
    Effects,
    effects_of,
    faststream,
    make_effects,
    make_fence,
    make_topic,
    numbered,
    own_loop,
    produce,
    reading,
    until,
)


@pytest.mark.parametrize("feed", [faststream, own_loop])
async def test_a_reader_goes_on_after_a_crash_of_the_broker_and_stops_in_time_without_one(
    settings: Settings,
    notifier_pool: Pool,
    own_kafka: EmbeddedKafka,
    feed: Callable[[Reader[bytes], Settings], Task],
) -> None:
    settings = settings.model_copy(update={"kafka_bootstrap": own_kafka.bootstrap, "stall_seconds": 20})
    await make_effects(notifier_pool)
    topic = await make_topic(settings)
    reader = Reader(settings, make_fence(notifier_pool, topic, Effects()), [topic])

    async def has(count: int) -> bool:
        return len(await effects_of(notifier_pool)) == count

    arrivals = Arrivals(reader)

    async def says_that_more_may_be_there() -> bool:
        return not await arrivals.all_applied()

    async with reading(reader, feed(reader, settings)) as stop:
        await produce(settings, topic, numbered(1, 10))
        await until(lambda: has(10), stop)
        await until(arrivals.all_applied, stop)
        own_kafka.kill()
        await until(says_that_more_may_be_there, stop)
        assert not stop.is_set()
        own_kafka.start()
        await produce(settings, topic, numbered(11, 20))
        await until(lambda: has(20), stop)
        await until(arrivals.all_applied, stop)
        own_kafka.kill()
        await asyncio.sleep(0.5)
        began = time.monotonic()
    assert time.monotonic() - began < settings.drain_seconds - 2
    assert await effects_of(notifier_pool) == numbered(1, 20)


async def test_a_reader_that_waits_for_kafka_stops_at_once(settings: Settings, notifier_pool: Pool) -> None:
    settings = settings.model_copy(update={"kafka_bootstrap": "127.0.0.1:1", "boot_patience_seconds": 60})
    reader = Reader(settings, make_fence(notifier_pool, "t", Effects()), ["t"])
    began = time.monotonic()
    async with reading(reader, faststream(reader, settings)) as stop:
        await asyncio.sleep(0.5)
        assert not stop.is_set()
    assert time.monotonic() - began < 40  # far less than the patience of 60
