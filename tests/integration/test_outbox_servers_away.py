"""Guarantee 6 while a server is away or a relay dies: rows wait, all are sent, and a relay still stops in time."""

import asyncio
from unittest.mock import patch

import asyncpg
import pytest
from pydantic import SecretStr

from services.chassis.outbox import _OWN_SESSION
from services.chassis.postgres import Pool
from services.chassis.settings import Settings
from services.embedded.kafka import EmbeddedKafka
from tests.cut_servers import postgres_by_line
from tests.harness import kafka_work, make_topic, read_all, until
from tests.relaying import SQL, empty, put, relay, running, values_by_key, waiting


async def test_a_relay_whose_database_connection_was_cut_begins_anew(settings: Settings, notifier_pool: Pool) -> None:
    topic = await make_topic(settings)
    async with running(relay(settings).run):
        await put(notifier_pool, topic, b"k", b"0")
        await until(empty(notifier_pool))
        await notifier_pool.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory')"
        )
        await put(notifier_pool, topic, b"k", b"1")
        await until(empty(notifier_pool))
    assert values_by_key(await read_all(settings, topic, 2)) == {b"k": [0, 1]}


async def test_a_relay_killed_between_sending_and_marking_sends_again_with_the_same_event_id(
    settings: Settings, notifier_pool: Pool
) -> None:
    topic = await make_topic(settings)
    for n in range(3):
        await put(notifier_pool, topic, b"k", b"%d" % n)
    killed = relay(settings)
    killed._sql = {**SQL, "end_waiting": "SELECT 1 / 0 FROM unnest($1::smallint[], $2::bigint[])"}
    with pytest.raises(asyncpg.DivisionByZeroError):
        await killed.run(asyncio.Event())
    assert await waiting(notifier_pool) == 3
    async with running(relay(settings).run):
        await until(empty(notifier_pool))
    records = await read_all(settings, topic, 6)
    assert [r.value for r in records] == [b"0", b"1", b"2", b"0", b"1", b"2"]
    ids = [dict(r.headers)["ce_id"] for r in records]
    assert ids[:3] == ids[3:]
    assert len(set(ids)) == 3


async def test_while_kafka_is_down_rows_wait_and_they_flow_when_it_is_back(
    settings: Settings, notifier_pool: Pool, own_kafka: EmbeddedKafka
) -> None:
    settings = settings.model_copy(update={"kafka_bootstrap": own_kafka.bootstrap, "boot_patience_seconds": 0.1})
    topic = await make_topic(settings)
    async with running(relay(settings).run) as stop:
        await put(notifier_pool, topic, b"k", b"0")
        await until(empty(notifier_pool))
        own_kafka.kill()
        for n in range(1, 20):
            await put(notifier_pool, topic, b"k", b"%d" % n)
        await asyncio.sleep(2.5)
        assert await waiting(notifier_pool) == 19
        assert not stop.is_set()
        own_kafka.start()
        await until(empty(notifier_pool))
    sent = [int(r.value) for r in await read_all(settings, topic, 20)]
    assert sorted(set(sent)) == list(range(20))
    assert sent[-1] == 19


async def test_a_relay_stops_within_the_drain_time_although_kafka_is_down(
    settings: Settings, notifier_pool: Pool, own_kafka: EmbeddedKafka
) -> None:
    settings = settings.model_copy(update={"kafka_bootstrap": own_kafka.bootstrap})
    topic = await make_topic(settings)
    before = kafka_work()
    stop = asyncio.Event()
    work = asyncio.create_task(relay(settings).run(stop))
    await put(notifier_pool, topic, b"k", b"0")
    await until(empty(notifier_pool))
    own_kafka.kill()
    await put(notifier_pool, topic, b"k", b"1")
    await asyncio.sleep(0.5)
    stop.set()
    await asyncio.wait_for(work, settings.drain_seconds - 3)
    assert await waiting(notifier_pool) == 1
    assert kafka_work() <= before, "whatever goes on would send old records behind newer ones"


async def test_a_relay_never_gives_up_on_kafka_because_answers_are_taken_without_it(
    settings: Settings, notifier_pool: Pool
) -> None:
    await put(notifier_pool, "t", b"k", b"0")
    away = settings.model_copy(update={"kafka_bootstrap": "127.0.0.1:1", "boot_patience_seconds": 0.1})
    async with running(relay(away).run) as stop:
        await asyncio.sleep(2.5)
        assert not stop.is_set()
    assert await waiting(notifier_pool) == 1


async def test_a_relay_stops_although_the_database_is_away(settings: Settings) -> None:
    away = settings.model_copy(update={"postgres_dsn": SecretStr("postgresql://u@127.0.0.1:1/none")})
    stop = asyncio.Event()
    work = asyncio.create_task(relay(away).run(stop))
    await asyncio.sleep(0.3)
    assert not work.done()
    stop.set()
    await asyncio.wait_for(work, 30)


async def test_a_relay_of_which_nothing_is_heard_does_not_hold_its_shards_for_ever(
    settings: Settings, notifier_pool: Pool
) -> None:
    async with postgres_by_line(settings.postgres_dsn.get_secret_value()) as (line, dsn):
        by_line = settings.model_copy(update={"postgres_dsn": SecretStr(dsn)})
        topic = await make_topic(settings)
        with patch("services.chassis.outbox._OWN_SESSION", _OWN_SESSION.replace("60s", "1s")):
            async with running(relay(by_line).run):
                await put(notifier_pool, topic, b"a", b"1")
                await until(empty(notifier_pool))
                line.cut()
                async with running(relay(settings).run):
                    await put(notifier_pool, topic, b"a", b"2")
                    await until(empty(notifier_pool), seconds=20)
                line.heal()
