"""How far the counters are behind, over a real Kafka and PostgreSQL: it rises while counting is held up, and falls."""

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition

from services.aggregator.counting.behind import CountersBehind
from services.chassis.kafka import make_consumer
from services.chassis.metrics import Metrics
from services.chassis.postgres import Pool
from services.chassis.settings import Settings
from tests.harness import Effects, begin, kafka_work_ended, make_topic, numbered, producing, until
from tests.own_topic import OwnTopic, pool

HOUR = 3600.0


@dataclass
class Clock:
    """The wall clock, moved on by hand."""

    ahead: float = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@dataclass
class Told:
    """The gauge as Prometheus would read it, and the clock that it goes by."""

    metrics: Metrics
    clock: Clock

    def seconds(self) -> float:
        told = self.metrics.registry.get_sample_value("kvittera_counters_behind_seconds")
        assert told is not None
        return told


__all__ = ["pool"]


@asynccontextmanager
async def told_of(settings: Settings, pool: Pool, topic: str) -> AsyncIterator[Told]:
    """What is told of a topic, looked at many times a second."""
    told = Told(Metrics(), Clock())
    behind = CountersBehind(settings, pool, told.metrics, [topic], period=0.05, now=told.clock)
    stop = asyncio.Event()
    with kafka_work_ended():
        looking = asyncio.create_task(behind.run(stop))
        try:
            yield told
        finally:
            stop.set()
            await looking


@asynccontextmanager
async def consuming(settings: Settings) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = make_consumer(settings, group=None, client="test")
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


async def test_it_rises_while_counting_is_held_up_and_falls_to_nought_after(settings: Settings, pool: Pool) -> None:
    topic = await OwnTopic.make(settings, pool, partitions=2)
    held, go_on = asyncio.Event(), asyncio.Event()

    async def hold_up() -> None:
        held.set()
        await go_on.wait()

    reader = topic.reader(Effects(before=hold_up))
    async with told_of(settings, pool, topic.name) as told, topic.read(reader) as reading:
        await reading.until(lambda: _is(told.seconds() == 0))
        await topic.send(numbered(1, 20), partition=1)
        await asyncio.wait_for(held.wait(), 60)
        await reading.until(lambda: _is(told.seconds() > 0))
        first = told.seconds()
        await reading.until(lambda: _is(told.seconds() > first + 0.5))
        assert told.seconds() < 60
        told.clock.ahead = HOUR
        assert HOUR < told.seconds() < HOUR + 60
        told.clock.ahead = 0.0

        go_on.set()
        await reading.applied(20)
        await reading.until(lambda: _is(told.seconds() == 0))


async def test_a_process_that_begins_with_a_backlog_tells_its_age_at_once(settings: Settings, pool: Pool) -> None:
    topic = await make_topic(settings)
    hours_ago = [int(1000 * (time.time() - hours * HOUR)) for hours in (5, 4, 3, 2, 1)]
    async with producing(settings) as producer:
        for moment in hours_ago:
            await producer.send_and_wait(topic, b"1", partition=0, timestamp_ms=moment)
    await begin(pool, topic, at=3)  # counted so far by a process that is gone; nobody counts now
    async with told_of(settings, pool, topic) as told:
        await until(lambda: _is(told.seconds() > 0))
        assert 2 * HOUR <= told.seconds() < 2 * HOUR + 60
        await pool.execute("UPDATE progress SET next = 4 WHERE topic = $1", topic)
        await until(lambda: _is(told.seconds() < 2 * HOUR))
        assert HOUR <= told.seconds() < HOUR + 60
        await pool.execute("UPDATE progress SET next = 5 WHERE topic = $1", topic)
        await until(lambda: _is(told.seconds() == 0))


async def test_what_came_since_the_look_before_is_not_called_old(settings: Settings, pool: Pool) -> None:
    topic = await make_topic(settings)
    part = await begin(pool, topic)
    looking = CountersBehind(settings, pool, Metrics(), [topic])
    async with producing(settings) as producer, consuming(settings) as consumer:
        for counted, hours in ((0, 3), (1, 2)):
            moment = int(1000 * (time.time() - hours * HOUR))
            await producer.send_and_wait(topic, b"1", partition=part.partition, timestamp_ms=moment)
            await pool.execute("UPDATE progress SET next = $1", counted)
            await looking.look(consumer)
            assert (looking.seen.oldest is None) == bool(counted)  # a process that begins knows of no look before
        await looking.look(consumer)
        assert 2 * HOUR <= looking.seen.behind(time.time()) < 2 * HOUR + 60


async def test_counters_are_known_to_be_in_time_only_after_a_look(settings: Settings, pool: Pool) -> None:
    topic = await make_topic(settings)
    part = await begin(pool, topic)
    looking = CountersBehind(settings, pool, Metrics(), [topic])
    assert not looking.at_most(3 * HOUR)
    async with consuming(settings) as consumer:
        await pool.execute("DELETE FROM progress")
        await looking.look(consumer)
        assert not looking.at_most(3 * HOUR), "nobody has begun to read the topic"
        await begin(pool, topic)
    async with producing(settings) as producer, consuming(settings) as consumer:
        moment = int(1000 * (time.time() - 2 * HOUR))
        await producer.send_and_wait(topic, b"1", partition=part.partition, timestamp_ms=moment)
        await looking.look(consumer)
        assert looking.at_most(3 * HOUR)
        assert not looking.at_most(HOUR)
        await pool.execute("UPDATE progress SET next = 1")
        await looking.look(consumer)
        assert looking.at_most(0)


async def test_marks_of_transactions_are_nothing_that_waits(settings: Settings, pool: Pool) -> None:
    topic = await make_topic(settings)
    async with producing(settings, transactional_id=f"t-{topic}") as producer, producer.transaction():
        await producer.send_and_wait(topic, b"1", partition=0)
    await begin(pool, topic, at=1)
    looking = CountersBehind(settings, pool, Metrics(), [topic])
    async with consuming(settings) as consumer:
        await looking.look(consumer)
        assert list((await consumer.end_offsets([TopicPartition(topic, 0)])).values()) == [2]
    assert looking.seen.oldest is None


async def test_a_process_that_never_could_look_tells_no_number_and_then_since_when(
    settings: Settings, pool: Pool
) -> None:
    away = settings.model_copy(update={"kafka_bootstrap": "127.0.0.1:9"})
    async with told_of(away, pool, "any") as told:
        assert math.isnan(told.seconds())
        told.clock.ahead = 31
        assert 31 <= told.seconds() < 60
        told.clock.ahead = HOUR
        assert HOUR <= told.seconds() < HOUR + 60


async def _is(held: bool) -> bool:
    return held
