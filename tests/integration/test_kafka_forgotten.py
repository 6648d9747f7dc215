"""A network forgets the connections to Kafka and tells nobody: readers and the relay make new ones soon."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from services.chassis import consumer as chassis_consumer
from services.chassis import kafka_connection
from services.chassis.consumer import Reader
from services.chassis.metrics import Metrics
from services.chassis.outbox import Relay
from services.chassis.postgres import Pool
from services.chassis.settings import Settings
from services.chassis.starting_point import starting_point
from tests.cut_servers import Broker, broker_by_line
from tests.harness import faststream, kafka_work_ended, numbered, own_loop, read_all, until
from tests.own_topic import Feed, OwnTopic, pool

__all__ = ["pool"]

SILENT = 1.0
WITHIN = 12.0
"""Far less than the half minute that Kafka's client waits for an answer."""
PRODUCED_WITHIN = 27.0
"""A producer's request may wait 20 s for replicas, and is then sent again."""
LONG = pytest.mark.skipif("LONG_CUTS" not in os.environ, reason="takes half a minute: make test-faults")


@pytest.fixture(scope="module")
async def broker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Broker]:
    async with broker_by_line(tmp_path_factory.mktemp("kafka")) as found:
        yield found


@pytest.fixture
def direct(settings: Settings, broker: Broker, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(kafka_connection, "SILENT_SECONDS", SILENT)
    return settings.model_copy(update={"kafka_bootstrap": broker.kafka.bootstrap})


@pytest.fixture
async def topic(direct: Settings, pool: Pool) -> OwnTopic:
    return await OwnTopic.make(direct, pool)


def reader_by_line(topic: OwnTopic, broker: Broker) -> Reader[bytes]:
    return replace(topic, settings=by_line(topic.settings, broker)).reader()


def by_line(direct: Settings, broker: Broker) -> Settings:
    return direct.model_copy(update={"kafka_bootstrap": broker.by_line})


@pytest.mark.parametrize("feed", [faststream, own_loop])
async def test_a_reader_whose_connections_are_forgotten_reads_on_soon(
    topic: OwnTopic, broker: Broker, feed: Feed
) -> None:
    async with topic.read(reader_by_line(topic, broker), feed=feed) as reading:
        await topic.send(numbered(1, 3))
        await reading.applied(3)
        broker.line.forget(server_knows=False)
        await topic.send(numbered(4, 6))
        await reading.applied(6, seconds=WITHIN)
        assert not reading.stop.is_set()
    assert await topic.effects() == numbered(1, 6)


async def test_a_reader_whose_connections_are_forgotten_while_it_asks_where_to_begin_asks_again_soon(
    topic: OwnTopic, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0

    async def forgotten_once(*about: object) -> int:
        nonlocal asked
        asked += 1
        if asked == 1:
            broker.line.forget(server_knows=False)
        return await starting_point(*about)  # type: ignore[arg-type]

    monkeypatch.setattr(chassis_consumer, "starting_point", forgotten_once)
    await topic.send(numbered(1, 3))
    async with topic.read(reader_by_line(topic, broker)) as reading:
        await reading.applied(3, seconds=WITHIN)
        assert not reading.stop.is_set()
    assert asked > 0


@LONG
async def test_a_relay_whose_connections_are_forgotten_sends_on_once_a_producer_has_given_up(
    topic: OwnTopic, broker: Broker
) -> None:
    async def put(value: bytes) -> None:
        await topic.pool.execute(
            "INSERT INTO outbox (shard, topic, key, value) VALUES (0, $1, $2, $2)", topic.name, value
        )

    async def all_sent() -> bool:
        return not await topic.pool.fetchval("SELECT count(*) FROM outbox_waiting")

    stop = asyncio.Event()
    with kafka_work_ended():
        work = asyncio.create_task(Relay(by_line(topic.settings, broker), "notifier", Metrics()).run(stop))
        await put(b"1")
        await until(all_sent)
        broker.line.forget(server_knows=False)
        began = time.monotonic()
        await put(b"2")
        await until(all_sent, seconds=PRODUCED_WITHIN)
        print(f"sent after {time.monotonic() - began:.1f} s")
        stop.set()
        await work
    assert [r.value for r in await read_all(topic.settings, topic.name, 2)] == [b"1", b"2"]
