"""Whatever FastStream's acknowledgement does, every record counts exactly once under our fence.

The last test shows that the same harness sees the loss that FastStream alone causes.
"""

import asyncio

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from faststream import AckPolicy
from faststream.kafka import KafkaBroker

from services.chassis.consumer import Reader
from services.chassis.deadletter import unpack_headers
from services.chassis.failures import MustStop
from services.chassis.postgres import Pool
from services.chassis.record_batches import Record
from services.chassis.settings import Settings
from tests.harness import Effects, faststream, letters_of, numbered, own_loop, producing, until
from tests.own_topic import Feed, OwnTopic, pool, topic
from tests.strange_batches import STAND_IN, send_strange

A_GUST = 40
BOTH = pytest.mark.parametrize("feed", [faststream, own_loop])


__all__ = ["pool", "topic"]


async def has(pool: Pool, count: int) -> bool:
    found: int = await pool.fetchval("SELECT count(*) FROM effect")
    assert found <= count
    return found == count


async def test_a_handler_that_fails_at_the_fifth_of_ten_and_recovers_gets_all_ten_once(topic: OwnTopic) -> None:
    failures = [OSError("database away")] * 4
    effects = Effects(fail=lambda values: failures.pop() if b"5" in values and failures else None)
    async with topic.read(topic.reader(effects), feed=faststream, max_records=3) as reading:
        await topic.send(numbered(1, 10))
        await reading.applied(10)
        await asyncio.sleep(0.2)
    assert await topic.effects() == numbered(1, 10)
    assert failures == []


@BOTH
async def test_a_record_whose_header_has_no_readable_name_is_taken_like_any_other(
    settings: Settings, topic: OwnTopic, feed: Feed
) -> None:
    await topic.send([b"1"])
    async with producing(settings) as producer:
        await send_strange(producer, [Record(topic.name, b"k", value, [(STAND_IN, b"x")]) for value in (b"2", b"3")])
    async with topic.read(feed=feed) as reading:
        await reading.applied(3)
        await topic.send([b"4"])
        await reading.applied(4)
    assert await topic.effects() == numbered(1, 4)


@BOTH
async def test_records_are_read_however_their_producer_compressed_them(
    settings: Settings, topic: OwnTopic, feed: Feed
) -> None:
    sent = [b"%d" % n * 500 for n in range(1, 6)]
    for codec, value in zip((None, "gzip", "snappy", "lz4", "zstd"), sent, strict=True):
        async with producing(settings, compression_type=codec) as producer:
            await producer.send_and_wait(topic.name, value, partition=0)
    async with topic.read(feed=feed) as reading:
        await reading.applied(5)
    assert await topic.effects() == sent


async def test_a_record_that_the_handler_never_takes_is_put_aside_and_the_nine_others_count(
    topic: OwnTopic,
) -> None:
    effects = Effects(fail=lambda values: ValueError() if b"5" in values else None)
    await topic.send(numbered(1, 10))
    async with topic.read(topic.reader(effects), feed=faststream) as reading:
        await reading.applied(9)
        await topic.send([b"11"])
        await reading.applied(10)
    assert await topic.effects() == [*numbered(1, 4), *numbered(6, 10), b"11"]
    assert [letter["value"] for letter in await letters_of(topic.pool)] == [b"5"]


@BOTH
async def test_a_consumer_stopped_in_the_middle_of_a_batch_and_started_again_counts_everything_once(
    settings: Settings, pool: Pool, feed: Feed
) -> None:
    topic = await OwnTopic.make(settings, pool, partitions=2)
    for partition in (0, 1):
        await topic.send(numbered(partition * 100 + 1, partition * 100 + 100), partition=partition)
    inside = asyncio.Event()

    async def slow() -> None:
        inside.set()
        await asyncio.sleep(0.05)

    for _ in range(4):
        inside.clear()
        effects = Effects(before=slow, fail=lambda values: OSError() if len(values) % 3 == 0 else None)
        at_once = 20 if feed is faststream else 50
        async with topic.read(topic.reader(effects), feed=feed, max_records=at_once) as reading:
            await asyncio.wait_for(inside.wait(), 90)
            assert not reading.stop.is_set()
    async with topic.read(feed=feed) as reading:
        await reading.applied(200)
    assert sorted(await topic.effects(), key=int) == numbered(1, 200)


async def test_a_batch_given_up_at_the_stop_is_not_passed_over_by_a_later_one(topic: OwnTopic) -> None:
    await topic.send(numbered(1, 20))
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

    reader = topic.reader(Effects(fail=fail))
    async with topic.read(reader, feed=faststream, max_records=5) as reading:
        await reading.until(failed)
        await asyncio.sleep(0.5)
    assert await topic.effects() == []
    async with topic.read(feed=faststream) as reading:
        await reading.applied(20)
    assert await topic.effects() == numbered(1, 20)


@BOTH
@pytest.mark.parametrize("committed", [0, 37, 60, 1_000_000])
async def test_offsets_that_somebody_else_committed_make_no_difference(
    settings: Settings, topic: OwnTopic, feed: Feed, committed: int
) -> None:
    await topic.send(numbered(1, 60))
    await commit(settings, f"g-{topic.name}", {TopicPartition(topic.name, 0): committed})
    async with topic.read(feed=feed) as reading:
        await reading.applied(60)
    await commit(settings, f"g-{topic.name}", {TopicPartition(topic.name, 0): committed})
    await topic.send(numbered(61, 70))
    async with topic.read(feed=feed) as reading:
        await reading.applied(70)
        await asyncio.sleep(0.2)
    assert await topic.effects() == numbered(1, 70)


async def test_a_group_that_kafka_has_forgotten_makes_no_difference(topic: OwnTopic) -> None:
    await topic.send(numbered(1, 10))
    async with topic.read(topic.reader(group="g-first"), feed=faststream) as reading:
        await reading.applied(10)
    await topic.send(numbered(11, 15))
    async with topic.read(topic.reader(group="g-never-seen"), feed=faststream) as reading:
        await reading.applied(15)
    assert await topic.effects() == numbered(1, 15)


async def test_a_record_with_a_header_that_is_no_text_reaches_the_dead_letters_instead_of_vanishing(
    topic: OwnTopic,
) -> None:
    await topic.send([b"1"])
    await topic.send([b"bad"], headers=[("content-type", b"\xff\xfe"), ("x", b"\x80")])
    await topic.send([b"3"], headers=[("x", b"\xc3\x28")])
    async with topic.read(feed=faststream) as reading:
        await reading.applied(2)
    assert await topic.effects() == [b"1", b"3"]
    [letter] = await letters_of(topic.pool)
    assert unpack_headers(letter["raw_headers"])[:2] == [("content-type", b"\xff\xfe"), ("x", b"\x80")]


@BOTH
async def test_a_rebalance_in_the_middle_counts_everything_once(settings: Settings, pool: Pool, feed: Feed) -> None:
    topic = await OwnTopic.make(settings, pool, partitions=4)

    async def slow() -> None:
        await asyncio.sleep(0.02)

    first, second = (topic.reader(Effects(before=slow)) for _ in range(2))
    async with topic.read(first, feed=feed) as reading:
        for partition in range(4):
            await topic.send(numbered(partition * 1000 + 1, partition * 1000 + 60), partition=partition)
        async with topic.read(second, feed=feed):
            await reading.until(_shared(first, second))
            for partition in range(4):
                await topic.send(numbered(partition * 1000 + 61, partition * 1000 + 100), partition=partition)
            await asyncio.sleep(0.1)
        await reading.applied(400)
    found = await topic.effects()
    for partition in range(4):
        mine = [v for v in found if int(v) // 1000 == partition]
        assert mine == numbered(partition * 1000 + 1, partition * 1000 + 100)


async def test_a_storm_of_rebalances_counts_everything_once_and_in_order(settings: Settings, pool: Pool) -> None:
    topic, sent = await OwnTopic.make(settings, pool, partitions=4), 0
    members: list[tuple[Reader[bytes], asyncio.Event, asyncio.Future[None]]] = []

    async def all_share() -> bool:
        assert not [work for *_, work in members if work.done()]
        held = [len(r.consumer.assignment()) if r.consumer is not None else 0 for r, *_ in members]
        placed = all(r.place.joined for r, *_ in members)
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
                    await producer.send(topic.name, b"%d" % (1000 * partition + number), partition=partition)
            sent += A_GUST
            if not settled.is_set() and members:
                await inside.wait()
            while len(members) < wanted:
                stop, reader = asyncio.Event(), topic.reader(Effects(before=applied_late))
                members.append((reader, stop, asyncio.ensure_future(own_loop(reader, settings, max_records=7)(stop))))
            while len(members) > wanted:
                await leave()
            await until(all_share)
            settled.set()
        await until(lambda: has(pool, 4 * sent))
    while members:
        await leave()
    found = await topic.effects()
    for partition in range(4):
        mine = [v for v in found if int(v) // 1000 == partition]
        assert mine == numbered(1000 * partition + 1, 1000 * partition + sent)


async def test_what_the_handler_raises_ends_the_process_although_faststream_swallows_it(topic: OwnTopic) -> None:
    await topic.send(numbered(1, 10))
    with pytest.raises(MustStop, match="no"):
        async with topic.read(topic.reader(Effects(fail=lambda _: MustStop("no"))), feed=faststream) as reading:
            await reading.ended()
    assert await topic.effects() == []


async def test_faststream_without_the_fence_loses_the_record_that_its_handler_failed_on(
    settings: Settings, pool: Pool, topic: OwnTopic
) -> None:
    broker, group = KafkaBroker(settings.kafka_bootstrap, logger=None), f"g-{topic.name}"
    failed: list[bytes] = []

    @broker.subscriber(topic.name, group_id=group, ack_policy=AckPolicy.ACK, auto_offset_reset="earliest")
    async def handle(value: int) -> None:
        if value == 5 and not failed:
            failed.append(b"5")
            raise OSError("database away")
        await pool.execute("INSERT INTO effect (value) VALUES ($1)", b"%d" % value)

    await topic.send(numbered(1, 10))
    async with broker:
        await broker.start()
        await until(lambda: has(pool, 9))
    again = KafkaBroker(settings.kafka_bootstrap, logger=None)
    again.subscriber(topic.name, group_id=group, ack_policy=AckPolicy.ACK, auto_offset_reset="earliest")(handle)
    async with again:
        await again.start()
        await asyncio.sleep(1.5)
    assert await topic.effects() == [*numbered(1, 4), *numbered(6, 10)]


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
