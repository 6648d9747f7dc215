"""A fence that is fed from real topics: all is read, in order, also over failures that pass."""

import asyncio
from functools import partial

import asyncpg
import pytest
from aiokafka import TopicPartition

from services.chassis.arrivals import Arrivals
from services.chassis.batches import Batch
from services.chassis.consumer import Reader
from services.chassis.failures import MustStop, TryAgain
from services.chassis.in_hand import InHand
from services.chassis.postgres import Pool
from services.chassis.settings import Settings
from tests.harness import (
    Effects,
    effects_of,
    letters_of,
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


async def test_a_real_topic_is_read_to_its_end_and_lag_falls_to_nothing(settings: Settings, pool: Pool) -> None:
    topic = await make_topic(settings, partitions=2)
    await produce(settings, topic, numbered(1, 30), partition=0)
    await produce(settings, topic, numbered(31, 50), partition=1)
    reader = Reader(settings, make_fence(pool, topic, Effects()), [topic])
    async with reading(reader, own_loop(reader, settings)) as stop:
        await until(lambda: _has(pool, 50), stop)
        await until(Arrivals(reader).all_applied, stop)
        await produce(settings, topic, numbered(51, 60))
        await until(lambda: _has(pool, 60), stop)
    assert sorted(await effects_of(pool), key=int) == numbered(1, 60)


async def test_no_partition_is_read_before_all_are_positioned(
    settings: Settings, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Else what comes meanwhile is read twice, and the first partition stays ahead of the others.
    topic = await make_topic(settings, partitions=2)
    for partition in range(2):
        await produce(settings, topic, numbered(1, 5), partition=partition)
    reader = Reader(settings, make_fence(pool, topic, Effects()), [topic])
    handed: list[Batch] = []
    take, position = reader.take, reader._position

    async def taken(received: InHand[bytes]) -> None:
        handed.append(received.batch)
        await take(received)

    async def positioned(partition: TopicPartition) -> None:
        await position(partition)
        await asyncio.sleep(0.3)  # records would come meanwhile

    monkeypatch.setattr(reader, "take", taken)
    monkeypatch.setattr(reader, "_position", positioned)
    async with reading(reader, own_loop(reader, settings)) as stop:
        await until(lambda: _has(pool, 10), stop)
    assert sum(len(records) for batch in handed for records in batch.values()) == 10


async def test_holes_of_transactions_are_accepted_and_a_topic_that_ends_in_one_counts_as_read(
    settings: Settings, pool: Pool
) -> None:
    settings = settings.model_copy(update={"stall_seconds": 2.5})
    topic = await make_topic(settings)
    async with producing(settings, transactional_id=f"tx-{topic}") as producer:
        for first in (1, 11, 21):
            async with producer.transaction():
                for value in numbered(first, first + 4):
                    await producer.send(topic, value)
            await producer.begin_transaction()
            await producer.send(topic, b"aborted")
            await producer.flush()
            await producer.abort_transaction()
    reader = Reader(settings, make_fence(pool, topic, Effects()), [topic])
    async with reading(reader, own_loop(reader, settings, max_records=3)) as stop:
        await until(lambda: _has(pool, 15), stop)
        await until(Arrivals(reader).all_applied, stop)
        await asyncio.sleep(3)  # longer than the stall watch allows
        assert reader.lag == 0
        assert not stop.is_set()
        await produce(settings, topic, [b"31"])
        await until(lambda: _has(pool, 16), stop)
    assert await effects_of(pool) == [*numbered(1, 5), *numbered(11, 15), *numbered(21, 25), b"31"]
    # A process that starts where a transaction's marker stands finds no gap either.
    await pool.execute("UPDATE progress SET next = 5 WHERE topic = $1", topic)
    again = Reader(settings, make_fence(pool, topic, Effects()), [topic])
    async with reading(again, own_loop(again, settings)) as stop:
        await until(lambda: _has(pool, 27), stop)


async def test_passing_database_errors_are_waited_out_and_nothing_is_put_aside(settings: Settings, pool: Pool) -> None:
    topic = await make_topic(settings)
    await produce(settings, topic, numbered(1, 20))
    failures: list[Exception] = [asyncpg.CannotConnectNowError("x"), asyncpg.DeadlockDetectedError("x")] * 2
    effects = Effects(fail=lambda _: failures.pop() if failures else None)
    reader = Reader(settings, make_fence(pool, topic, effects), [topic])
    async with reading(reader, own_loop(reader, settings)) as stop:
        await until(lambda: _has(pool, 20), stop)
    assert await effects_of(pool) == numbered(1, 20)
    assert await letters_of(pool) == []
    retries = reader.fence.metrics.registry.get_sample_value("kvittera_retries_total", {"what": "batch"})
    assert retries == 4


async def test_a_consumer_that_gets_nothing_done_ends_its_process(settings: Settings, pool: Pool) -> None:
    settings = settings.model_copy(update={"stall_seconds": 1.0})
    topic = await make_topic(settings)
    await produce(settings, topic, numbered(1, 20))
    reader = Reader(settings, make_fence(pool, topic, Effects(fail=lambda _: TryAgain("never"))), [topic])
    with pytest.raises(MustStop, match=r"20 records wait for g-.* and nothing moves"):
        async with reading(reader, own_loop(reader, settings)) as stop:
            await asyncio.wait_for(stop.wait(), 90)
    assert await effects_of(pool) == []
    lag = partial(reader.fence.metrics.registry.get_sample_value, "kvittera_consumer_lag")
    assert lag({"topic": topic, "partition": "0"}) == 20
    reader.on_partitions_revoked([])
    assert lag({"topic": topic, "partition": "0"}) == 0


async def _has(pool: Pool, count: int) -> bool:
    found: int = await pool.fetchval("SELECT count(*) FROM effect")
    assert found <= count
    return found == count
