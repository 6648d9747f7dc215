"""A fence that is fed from real topics: all is read, in order, also over failures that pass."""

import asyncio
from functools import partial

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor

from services.chassis.arrivals import Arrivals
from services.chassis.batches import Batch
from services.chassis.failures import MustStop, TryAgain
from services.chassis.in_hand import InHand
from services.chassis.kafka import CONSUMER_OPTIONS
from services.chassis.postgres import Pool
from services.chassis.settings import Settings
from tests.harness import Effects, letters_of, numbered, producing
from tests.own_topic import OwnTopic, pool, topic

__all__ = ["pool", "topic"]


async def test_a_real_topic_is_read_to_its_end_and_lag_falls_to_nothing(settings: Settings, pool: Pool) -> None:
    topic = await OwnTopic.make(settings, pool, partitions=2)
    await topic.send(numbered(1, 30), partition=0)
    await topic.send(numbered(31, 50), partition=1)
    async with topic.read() as reading:
        await reading.applied(50)
        await reading.until(Arrivals(reading.reader).all_applied)
        await topic.send(numbered(51, 60))
        await reading.applied(60)
    assert sorted(await topic.effects(), key=int) == numbered(1, 60)


async def test_no_partition_is_read_before_all_are_positioned(
    settings: Settings, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Else what comes meanwhile is read twice, and the first partition stays ahead of the others.
    topic = await OwnTopic.make(settings, pool, partitions=2)
    for partition in range(2):
        await topic.send(numbered(1, 5), partition=partition)
    reader = topic.reader()
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
    async with topic.read(reader) as reading:
        await reading.applied(10)
    assert sum(len(records) for batch in handed for records in batch.values()) == 10


async def test_holes_of_transactions_are_accepted_and_a_topic_that_ends_in_one_counts_as_read(
    settings: Settings, pool: Pool
) -> None:
    topic = await OwnTopic.make(settings.model_copy(update={"stall_seconds": 2.5}), pool)
    async with producing(settings, transactional_id=f"tx-{topic.name}") as producer:
        for first in (1, 11, 21):
            async with producer.transaction():
                for value in numbered(first, first + 4):
                    await producer.send(topic.name, value)
            await producer.begin_transaction()
            await producer.send(topic.name, b"aborted")
            await producer.flush()
            await producer.abort_transaction()
    async with topic.read(max_records=3) as reading:
        await reading.applied(15)
        await reading.until(Arrivals(reading.reader).all_applied)
        await asyncio.sleep(3)  # longer than the stall watch allows
        assert reading.reader.lag == 0
        assert not reading.stop.is_set()
        await topic.send([b"31"])
        await reading.applied(16)
    assert await topic.effects() == [*numbered(1, 5), *numbered(11, 15), *numbered(21, 25), b"31"]
    # A process that starts where a transaction's marker stands finds no gap either.
    await pool.execute("UPDATE progress SET next = 5 WHERE topic = $1", topic.name)
    async with topic.read() as reading:
        await reading.applied(27)


async def test_passing_database_errors_are_waited_out_and_nothing_is_put_aside(topic: OwnTopic) -> None:
    await topic.send(numbered(1, 20))
    failures: list[Exception] = [asyncpg.CannotConnectNowError("x"), asyncpg.DeadlockDetectedError("x")] * 2
    effects = Effects(fail=lambda _: failures.pop() if failures else None)
    reader = topic.reader(effects)
    async with topic.read(reader) as reading:
        await reading.applied(20)
    assert await topic.effects() == numbered(1, 20)
    assert await letters_of(topic.pool) == []
    retries = reader.fence.metrics.registry.get_sample_value("kvittera_retries_total", {"what": "batch"})
    assert retries == 4


async def test_a_consumer_that_gets_nothing_done_ends_its_process(settings: Settings, pool: Pool) -> None:
    topic = await OwnTopic.make(settings.model_copy(update={"stall_seconds": 1.0}), pool)
    await topic.send(numbered(1, 20))
    reader = topic.reader(Effects(fail=lambda _: TryAgain("never")))
    with pytest.raises(MustStop, match=r"20 records wait for g-.* and nothing moves"):
        async with topic.read(reader) as reading:
            await reading.ended()
    assert await topic.effects() == []
    lag = partial(reader.fence.metrics.registry.get_sample_value, "kvittera_consumer_lag")
    assert lag({"topic": topic.name, "partition": "0"}) == 20
    reader.on_partitions_revoked([])
    assert lag({"topic": topic.name, "partition": "0"}) == 0


async def test_a_consumer_that_waits_for_what_somebody_holds_on_purpose_goes_on_once_that_is_let_go(
    settings: Settings, pool: Pool
) -> None:
    topic = await OwnTopic.make(settings.model_copy(update={"stall_seconds": 1.0}), pool)
    await topic.send(numbered(1, 20))
    let_go = asyncio.Event()

    async def wait() -> None:
        await let_go.wait()

    async def is_held() -> bool:
        return not let_go.is_set()

    reader = topic.reader(Effects(before=wait))

    reader.held = is_held
    async with topic.read(reader) as reading:
        await asyncio.wait([asyncio.create_task(reading.stop.wait())], timeout=3)
        let_go.set()
        assert not reading.stop.is_set()
        await reading.applied(20)


async def test_a_consumer_that_waits_so_long_for_what_is_held_that_it_leaves_its_group_comes_back_once_that_is_let_go(
    settings: Settings, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.chassis.place_in_group._LET_IN_WITHIN", 3.0)
    monkeypatch.setattr("services.chassis.consumer._IDENTITY_EVERY", 0.2)
    monkeypatch.setitem(CONSUMER_OPTIONS, "max_poll_interval_ms", 2000)
    topic = await OwnTopic.make(settings.model_copy(update={"stall_seconds": 1.0}), pool)
    await topic.send(numbered(1, 20))
    let_go = asyncio.Event()

    async def wait() -> None:
        await let_go.wait()

    async def is_held() -> bool:
        return not let_go.is_set()

    reader = topic.reader(Effects(before=wait))
    reader.held = is_held
    async with topic.read(reader) as reading:

        async def has_left() -> bool:
            return reader._in_hand > 0 and not reader.is_reading()

        await reading.until(has_left, seconds=30)
        await asyncio.wait([asyncio.create_task(reading.stop.wait())], timeout=6)
        stood = not reading.stop.is_set()
        let_go.set()
        assert stood
        await reading.applied(20)


async def test_a_consumer_that_its_group_does_not_let_in_ends_its_process(
    settings: Settings, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.chassis.place_in_group._LET_IN_WITHIN", 3.0)
    monkeypatch.setattr("services.chassis.consumer._IDENTITY_EVERY", 0.2)
    topic = await OwnTopic.make(settings.model_copy(update={"stall_seconds": 1.0}), pool)
    await topic.send(numbered(1, 20))
    reader = topic.reader()
    other = AIOKafkaConsumer(  # whose members share out partitions in a way of their own
        topic.name,
        bootstrap_servers=settings.kafka_bootstrap,
        group_id=reader.fence.group,
        partition_assignment_strategy=(RangePartitionAssignor,),
    )
    await other.start()
    try:
        with pytest.raises(MustStop, match=r"g-.* is not let into its group though Kafka answers"):
            async with topic.read(reader) as reading:
                await reading.ended()
    finally:
        await other.stop()
