"""Whatever FastStream's acknowledgement does, every record counts exactly once under our fence.

The last test shows that the same harness sees the loss that FastStream alone causes.
"""

import asyncio
from collections.abc import Callable

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from faststream import AckPolicy
from faststream.kafka import KafkaBroker

from services.chassis.consumer import Reader
from services.chassis.deadletter import unpack_headers
from services.chassis.failures import MustStop
from services.chassis.lifecycle import Task
from services.chassis.postgres import Pool
from services.chassis.record_batches import Record
from services.chassis.settings import Settings
from tests.harness import (
    Effects,
    effects_of,
    faststream,
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
from tests.strange_batches import STAND_IN, send_strange

Feed = Callable[[Reader[bytes], Settings], Task]
A_GUST = 40
BOTH = pytest.mark.parametrize("feed", [faststream, own_loop])


@pytest.fixture
async def pool(notifier_pool: Pool) -> Pool:
    await make_effects(notifier_pool)
    return notifier_pool


async def has(pool: Pool, count: int) -> bool:
    found: int = await pool.fetchval("SELECT count(*) FROM effect")
    assert found <= count
    return found == count


async def test_a_handler_that_fails_at_the_fifth_of_ten_and_recovers_gets_all_ten_once(
    settings: Settings, pool: Pool
) -> None:
    topic = await make_topic(settings)
    failures = [OSError("database away")] * 4
    effects = Effects(fail=lambda values: failures.pop() if b"5" in values and failures else None)
    reader = Reader(settings, make_fence(pool, topic, effects), [topic])
    async with reading(reader, faststream(reader, settings, max_records=3)) as stop:
        await produce(settings, topic, numbered(1, 10))
        await until(lambda: has(pool, 10), stop)
        await asyncio.sleep(0.2)
    assert await effects_of(pool) == numbered(1, 10)
    assert failures == []


@BOTH
async def test_a_record_whose_header_has_no_readable_name_is_taken_like_any_other(
    settings: Settings, pool: Pool, feed: Feed
) -> None:
    topic = await make_topic(settings)
    reader = Reader(settings, make_fence(pool, topic, Effects()), [topic])
    await produce(settings, topic, [b"1"])
    async with producing(settings) as producer:
        await send_strange(producer, [Record(topic, b"k", value, [(STAND_IN, b"x")]) for value in (b"2", b"3")])
    async with reading(reader, feed(reader, settings)) as stop:
        await until(lambda: has(pool, 3), stop)
        await produce(settings, topic, [b"4"])
        await until(lambda: has(pool, 4), stop)
    assert await effects_of(pool) == numbered(1, 4)


@BOTH
async def test_records_are_read_however_their_producer_compressed_them(
    settings: Settings, pool: Pool, feed: Feed
) -> None:
    topic = await make_topic(settings)
    reader = Reader(settings, make_fence(pool, topic, Effects()), [topic])
    sent = [b"%d" % n * 500 for n in range(1, 6)]
    for codec, value in zip((None, "gzip", "snappy", "lz4", "zstd"), sent, strict=True):
        async with producing(settings, compression_type=codec) as producer:
            await producer.send_and_wait(topic, value, partition=0)
    async with reading(reader, feed(reader, settings)) as stop:
        await until(lambda: has(pool, 5), stop)
    assert await effects_of(pool) == sent


async def test_a_record_that_the_handler_never_takes_is_put_aside_and_the_nine_others_count(
    settings: Settings, pool: Pool
) -> None:
    topic = await make_topic(settings)
    effects = Effects(fail=lambda values: ValueError() if b"5" in values else None)
    reader = Reader(settings, make_fence(pool, topic, effects), [topic])
    await produce(settings, topic, numbered(1, 10))
    async with reading(reader, faststream(reader, settings)) as stop:
        await until(lambda: has(pool, 9), stop)
        await produce(settings, topic, [b"11"])
        await until(lambda: has(pool, 10), stop)
    assert await effects_of(pool) == [*numbered(1, 4), *numbered(6, 10), b"11"]
    assert [letter["value"] for letter in await letters_of(pool)] == [b"5"]


@BOTH
async def test_a_consumer_stopped_in_the_middle_of_a_batch_and_started_again_counts_everything_once(
    settings: Settings, pool: Pool, feed: Feed
) -> None:
    topic = await make_topic(settings, partitions=2)
    for partition in (0, 1):
        await produce(settings, topic, numbered(partition * 100 + 1, partition * 100 + 100), partition=partition)
    inside = asyncio.Event()

    async def slow() -> None:
        inside.set()
        await asyncio.sleep(0.05)

    for _ in range(4):
        inside.clear()
        effects = Effects(before=slow, fail=lambda values: OSError() if len(values) % 3 == 0 else None)
        reader = Reader(settings, make_fence(pool, topic, effects), [topic])
        async with reading(
            reader, faststream(reader, settings, max_records=20) if feed is faststream else feed(reader, settings)
        ) as stop:
            await asyncio.wait_for(inside.wait(), 90)
            assert not stop.is_set()
    reader = Reader(settings, make_fence(pool, topic, Effects()), [topic])
    async with reading(reader, feed(reader, settings)) as stop:
        await until(lambda: has(pool, 200), stop)
    assert sorted(await effects_of(pool), key=int) == numbered(1, 200)


async def test_a_batch_given_up_at_the_stop_is_not_passed_over_by_a_later_one(settings: Settings, pool: Pool) -> None:
    topic = await make_topic(settings)
    await produce(settings, topic, numbered(1, 20))
    away, failures = True, list[OSError]()

    def fail(values: list[bytes]) -> OSError | None:
        nonlocal away
        if not away or b"1" not in values:
            return None
        away = False
        reader._stop.set()  # the watch sees the stop before FastStream does, and before the batch is tried again
        failures.append(OSError())
        return failures[-1]

    async def failed() -> bool:
        return bool(failures)

    reader = Reader(settings, make_fence(pool, topic, Effects(fail=fail)), [topic])
    async with reading(reader, faststream(reader, settings, max_records=5)) as stop:
        await until(failed, stop)
        await asyncio.sleep(0.5)
    assert await effects_of(pool) == []
    reader = Reader(settings, make_fence(pool, topic, Effects()), [topic])
    async with reading(reader, faststream(reader, settings)) as stop:
        await until(lambda: has(pool, 20), stop)
    assert await effects_of(pool) == numbered(1, 20)


@BOTH
@pytest.mark.parametrize("committed", [0, 37, 60, 1_000_000])
async def test_offsets_that_somebody_else_committed_make_no_difference(
    settings: Settings, pool: Pool, feed: Feed, committed: int
) -> None:
    topic = await make_topic(settings)
    await produce(settings, topic, numbered(1, 60))
    await commit(settings, f"g-{topic}", {TopicPartition(topic, 0): committed})
    reader = Reader(settings, make_fence(pool, topic, Effects()), [topic])
    async with reading(reader, feed(reader, settings)) as stop:
        await until(lambda: has(pool, 60), stop)
    await commit(settings, f"g-{topic}", {TopicPartition(topic, 0): committed})
    await produce(settings, topic, numbered(61, 70))
    reader = Reader(settings, make_fence(pool, topic, Effects()), [topic])
    async with reading(reader, feed(reader, settings)) as stop:
        await until(lambda: has(pool, 70), stop)
        await asyncio.sleep(0.2)
    assert await effects_of(pool) == numbered(1, 70)


async def test_a_group_that_kafka_has_forgotten_makes_no_difference(settings: Settings, pool: Pool) -> None:
    topic = await make_topic(settings)
    await produce(settings, topic, numbered(1, 10))
    reader = Reader(settings, make_fence(pool, topic, Effects(), group="g-first"), [topic])
    async with reading(reader, faststream(reader, settings)) as stop:
        await until(lambda: has(pool, 10), stop)
    await produce(settings, topic, numbered(11, 15))
    reader = Reader(settings, make_fence(pool, topic, Effects(), group="g-never-seen"), [topic])
    async with reading(reader, faststream(reader, settings)) as stop:
        await until(lambda: has(pool, 15), stop)
    assert await effects_of(pool) == numbered(1, 15)


async def test_a_record_with_a_header_that_is_no_text_reaches_the_dead_letters_instead_of_vanishing(
    settings: Settings, pool: Pool
) -> None:
    topic = await make_topic(settings)
    await produce(settings, topic, [b"1"])
    await produce(settings, topic, [b"bad"], headers=[("content-type", b"\xff\xfe"), ("x", b"\x80")])
    await produce(settings, topic, [b"3"], headers=[("x", b"\xc3\x28")])
    reader = Reader(settings, make_fence(pool, topic, Effects()), [topic])
    async with reading(reader, faststream(reader, settings)) as stop:
        await until(lambda: has(pool, 2), stop)
    assert await effects_of(pool) == [b"1", b"3"]
    [letter] = await letters_of(pool)
    assert unpack_headers(letter["raw_headers"])[:2] == [("content-type", b"\xff\xfe"), ("x", b"\x80")]


@BOTH
async def test_a_rebalance_in_the_middle_counts_everything_once(settings: Settings, pool: Pool, feed: Feed) -> None:
    topic = await make_topic(settings, partitions=4)

    async def slow() -> None:
        await asyncio.sleep(0.02)

    def member() -> Reader[bytes]:
        fence = make_fence(pool, topic, Effects(before=slow), group=f"g-{topic}")
        return Reader(settings, fence, [topic])

    first, second = member(), member()
    async with reading(first, feed(first, settings)) as stop:
        for partition in range(4):
            await produce(settings, topic, numbered(partition * 1000 + 1, partition * 1000 + 60), partition=partition)
        async with reading(second, feed(second, settings)):
            await until(_shared(first, second), stop)
            for partition in range(4):
                await produce(
                    settings, topic, numbered(partition * 1000 + 61, partition * 1000 + 100), partition=partition
                )
            await asyncio.sleep(0.1)
        await until(lambda: has(pool, 400), stop)
    found = await effects_of(pool)
    for partition in range(4):
        mine = [v for v in found if int(v) // 1000 == partition]
        assert mine == numbered(partition * 1000 + 1, partition * 1000 + 100)


async def test_a_storm_of_rebalances_counts_everything_once_and_in_order(settings: Settings, pool: Pool) -> None:
    topic, sent = await make_topic(settings, partitions=4), 0
    members: list[tuple[Reader[bytes], asyncio.Event, asyncio.Future[None]]] = []

    async def all_share() -> bool:
        assert not [work for *_, work in members if work.done()]
        held = [len(r.consumer.assignment()) if r.consumer is not None else 0 for r, *_ in members]
        placed = all(r._joined for r, *_ in members)
        return placed and sum(held) == 4 and sum(map(bool, held)) == min(4, len(members))

    inside, settled = asyncio.Event(), asyncio.Event()

    async def applied_late() -> None:
        """What was begun before partitions move is committed when they have, and others have read it too."""
        inside.set()
        await settled.wait()

    async def leave() -> None:
        _, stop, work = members.pop(0)
        stop.set()
        await work

    async with producing(settings) as producer:
        for wanted in (1, 5, 2, 4):  # of five one stands by
            if members and len(members) < wanted:
                inside.clear()
                settled.clear()
            for number in range(sent + 1, sent + A_GUST + 1):
                for partition in range(4):
                    await producer.send(topic, b"%d" % (1000 * partition + number), partition=partition)
            sent += A_GUST
            if not settled.is_set() and members:
                await inside.wait()
            while len(members) < wanted:
                fence = make_fence(pool, topic, Effects(before=applied_late), group=f"g-{topic}")
                stop = asyncio.Event()
                reader = Reader(settings, fence, [topic])
                members.append((reader, stop, asyncio.ensure_future(own_loop(reader, settings, max_records=7)(stop))))
            while len(members) > wanted:
                await leave()
            await until(all_share)
            settled.set()
        await until(lambda: has(pool, 4 * sent))
    while members:
        await leave()
    found = await effects_of(pool)
    for partition in range(4):
        mine = [v for v in found if int(v) // 1000 == partition]
        assert mine == numbered(1000 * partition + 1, 1000 * partition + sent)


async def test_what_the_handler_raises_ends_the_process_although_faststream_swallows_it(
    settings: Settings, pool: Pool
) -> None:
    topic = await make_topic(settings)
    await produce(settings, topic, numbered(1, 10))
    reader = Reader(settings, make_fence(pool, topic, Effects(fail=lambda _: MustStop("no"))), [topic])
    with pytest.raises(MustStop, match="no"):
        async with reading(reader, faststream(reader, settings)) as stop:
            await asyncio.wait_for(stop.wait(), 90)
    assert await effects_of(pool) == []


async def test_faststream_without_the_fence_loses_the_record_that_its_handler_failed_on(
    settings: Settings, pool: Pool
) -> None:
    topic = await make_topic(settings)
    broker = KafkaBroker(settings.kafka_bootstrap, logger=None)
    failed: list[bytes] = []

    @broker.subscriber(topic, group_id=f"g-{topic}", ack_policy=AckPolicy.ACK, auto_offset_reset="earliest")
    async def handle(value: int) -> None:
        if value == 5 and not failed:
            failed.append(b"5")
            raise OSError("database away")
        await pool.execute("INSERT INTO effect (value) VALUES ($1)", b"%d" % value)

    await produce(settings, topic, numbered(1, 10))
    async with broker:
        await broker.start()
        await until(lambda: has(pool, 9))
    again = KafkaBroker(settings.kafka_bootstrap, logger=None)
    again.subscriber(topic, group_id=f"g-{topic}", ack_policy=AckPolicy.ACK, auto_offset_reset="earliest")(handle)
    async with again:
        await again.start()
        await asyncio.sleep(1.5)
    assert await effects_of(pool) == [*numbered(1, 4), *numbered(6, 10)]


async def commit(settings: Settings, group: str, offsets: dict[TopicPartition, int]) -> None:
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka_bootstrap, group_id=group, enable_auto_commit=False)
    await consumer.start()
    consumer.assign(list(offsets))
    await consumer.commit(offsets)
    await consumer.stop()


def _shared(*readers: Reader[bytes]):  # type: ignore[no-untyped-def]  # noqa: ANN202
    async def ask() -> bool:
        return all(r.consumer is not None and len(r.consumer.assignment()) == 2 for r in readers)

    return ask
