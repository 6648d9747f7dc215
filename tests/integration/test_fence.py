"""Guarantees 2 and 7: effects and reading position commit together; what cannot be processed is put aside."""

import asyncio
import json
from datetime import UTC, datetime
from functools import partial
from types import SimpleNamespace
from typing import cast

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from structlog.testing import capture_logs

from schemas.cloudevents import Event, to_headers
from schemas.delivery import DeliveryCompleted
from services.chassis import consumer
from services.chassis.arrivals import Arrivals
from services.chassis.batches import Batch
from services.chassis.consumer import Reader
from services.chassis.deadletter import unpack_headers
from services.chassis.failures import MustStop, TryAgain
from services.chassis.fence import Fence, Gap
from services.chassis.in_hand import InHand
from services.chassis.kafka import make_admin
from services.chassis.meanings import Condemned, Meanings
from services.chassis.message_lines import MessageLines
from services.chassis.metrics import Metrics
from services.chassis.postgres import Database, Pool
from services.chassis.record_lines import RecordLines
from services.chassis.records import Received
from services.chassis.records import reading as decoder
from services.chassis.settings import Settings
from tests.harness import (
    Effects,
    begin,
    effects_of,
    letters_of,
    make_effects,
    make_fence,
    make_topic,
    numbered,
    own_loop,
    produce,
    producing,
    progress_of,
    reading,
    record,
    understand,
    until,
)


@pytest.fixture
async def pool(notifier_pool: Pool) -> Pool:
    await make_effects(notifier_pool)
    return notifier_pool


async def test_a_batch_is_applied_once_and_what_is_brought_again_is_dropped(pool: Pool) -> None:
    part = await begin(pool, "t")
    fence = make_fence(pool, "t", Effects())
    batch = {part: [record("t", n, b"%d" % n) for n in range(3)]}
    await fence.take(batch)
    await fence.take(batch)
    await fence.take({part: [record("t", n, b"%d" % n) for n in range(2, 5)]})
    assert await effects_of(pool) == [b"0", b"1", b"2", b"3", b"4"]
    assert await progress_of(pool, "t") == 5


async def test_every_record_is_accounted_for_in_the_metrics(pool: Pool) -> None:
    part = await begin(pool, "t")
    fence = make_fence(pool, "t", Effects())

    def counted(result: str) -> float | None:
        return fence.metrics.registry.get_sample_value("kvittera_records_total", {"topic": "t", "result": result})

    assert (counted("applied"), counted("dead_letter"), counted("skipped")) == (0, 0, 0)
    await fence.take({part: [record("t", 0, b"a"), record("t", 1, b"bad"), record("t", 2, None), record("t", 3, b"b")]})
    await fence.take({part: [record("t", 3, b"b")]})
    assert (counted("applied"), counted("dead_letter"), counted("skipped")) == (2, 1, 1)


async def test_each_record_has_its_line_after_the_commit_and_only_once(pool: Pool) -> None:
    part = await begin(pool, "t")
    fence = make_fence(pool, "t", Effects())
    fence.lines = RecordLines(MessageLines(50), "counted")
    right = fence._sql
    fence._sql = {**right, "advance_partitions": f"{right['advance_partitions']} AND false"}
    batch = {part: [record("t", 0, b"a"), record("t", 1, b"bad"), record("t", 2, None), record("t", 3, b"b")]}
    with capture_logs() as lines:
        with pytest.raises(Gap):
            await fence.take(batch)
        assert lines == []
        fence._sql = right
        await fence.take(batch)
        await fence.take(batch)
    assert [(line["event"], line["offset"], line.get("reason")) for line in lines] == [
        ("put aside", 1, "bad_json"),
        ("counted", 0, None),
        ("counted", 3, None),
    ]
    assert {(line["topic"], line["partition"]) for line in lines} == {("t", 0)}


async def test_a_record_that_no_handler_takes_is_told_with_its_place(pool: Pool) -> None:
    part = await begin(pool, "t")
    fence = make_fence(pool, "t", Effects(fail=lambda _: ValueError("x")))
    with capture_logs() as lines:
        await fence.take({part: [record("t", 0, b"a")]})
    assert [(line["event"], line["partition"], line["offset"]) for line in lines] == [
        ("record cannot be processed", 0, 0),
        ("put aside", 0, 0),
    ]


async def test_two_owners_of_one_partition_apply_every_record_once(pool: Pool) -> None:
    part = await begin(pool, "t")
    records = [record("t", n, b"%d" % n) for n in range(60)]

    async def linger() -> None:
        await asyncio.sleep(0.002)  # both are inside their transactions at the same time

    async def owner(size: int) -> None:
        fence = make_fence(pool, "t", Effects(before=linger))
        for first in range(0, 60, size):
            await fence.take({part: records[first : first + size]})

    await asyncio.gather(owner(1), owner(7), owner(10))
    assert await effects_of(pool) == [b"%d" % n for n in range(60)]
    assert await progress_of(pool, "t") == 60


async def test_partitions_are_locked_in_one_order_so_that_two_owners_of_several_never_wait_for_each_other(
    pool: Pool,
) -> None:
    parts = [await begin(pool, "t", partition=n) for n in reversed(range(8))]
    fence = make_fence(pool, "t", Effects())
    async with pool.acquire() as one, one.transaction():
        await one.execute("SELECT FROM progress WHERE part = 0 FOR UPDATE")
        batch = {part: [record("t", 0, b"a", partition=part.partition)] for part in parts}
        work = asyncio.create_task(fence.take(batch))
        await until(lambda: _somebody_waits(pool))
        async with pool.acquire() as other, other.transaction():
            assert len(await other.fetch("SELECT FROM progress WHERE part > 0 FOR UPDATE NOWAIT")) == 7
    await work
    assert await effects_of(pool) == [b"a"] * 8


async def _somebody_waits(pool: Pool) -> bool:
    found: bool = await pool.fetchval(
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')"
    )
    return found


async def test_even_without_row_locks_an_owner_that_was_overtaken_leaves_nothing(pool: Pool) -> None:
    part = await begin(pool, "t")
    zombie = make_fence(pool, "t", Effects())
    unlocked = {**zombie._sql, "lock_partitions": zombie._sql["lock_partitions"].replace("FOR UPDATE", "")}
    zombie._sql = unlocked
    owner = make_fence(pool, "t", Effects())
    batch = {part: [record("t", n, b"%d" % n) for n in range(3)]}

    async def overtaken() -> None:
        await owner.take(batch)

    zombie.apply = Effects(before=overtaken)
    with pytest.raises(Gap):
        await zombie.take(batch)
    assert await effects_of(pool) == [b"0", b"1", b"2"]


async def test_a_transaction_that_fails_leaves_nothing_and_may_be_made_again(pool: Pool) -> None:
    part = await begin(pool, "t")
    failures = [ConnectionResetError(), asyncpg.DeadlockDetectedError(), TryAgain("x"), TimeoutError()]
    effects = Effects(fail=lambda _: failures.pop() if failures else None)
    fence = make_fence(pool, "t", effects)
    batch = {part: [record("t", 0, b"0"), record("t", 1, b"bad")]}
    for left in (3, 2, 1, 0):
        with pytest.raises((OSError, asyncpg.DeadlockDetectedError, TryAgain, TimeoutError)):
            await fence.take(batch)
        assert len(failures) == left
        assert await effects_of(pool) == []
        assert await letters_of(pool) == []
        assert await progress_of(pool, "t") == 0
        assert fence.cursors == {}
    await fence.take(batch)
    assert await effects_of(pool) == [b"0"]
    assert len(await letters_of(pool)) == 1


async def test_a_gap_applies_nothing_and_names_where_to_read_again_for_every_partition_of_the_batch(pool: Pool) -> None:
    gapped, fine = await begin(pool, "t", at=5), await begin(pool, "t", partition=1, at=20)
    fence = make_fence(pool, "t", Effects())
    fence.cursors[fine] = 20
    with pytest.raises(Gap) as gap:
        await fence.take({gapped: [record("t", 9, b"9")], fine: [record("t", 20, b"20", partition=1)]})
    assert gap.value.positions == {gapped: 5, fine: 20}
    assert await effects_of(pool) == []
    assert (await progress_of(pool, "t"), await progress_of(pool, "t", 1)) == (5, 20)


async def test_a_hole_in_gapless_reading_is_accepted(pool: Pool) -> None:
    part = await begin(pool, "t")
    fence = make_fence(pool, "t", Effects())
    await fence.take({part: [record("t", 0, b"0"), record("t", 3, b"3")]})
    await fence.take({part: [record("t", 7, b"7")]})
    assert await effects_of(pool) == [b"0", b"3", b"7"]
    assert await progress_of(pool, "t") == 8


async def test_without_progress_nothing_is_applied(pool: Pool) -> None:
    with pytest.raises(MustStop, match="no progress is kept for t/0"):
        await make_fence(pool, "t", Effects()).take({TopicPartition("t", 0): [record("t", 0, b"0")]})


# Dead letters


async def test_a_bad_record_becomes_an_outbox_row_with_reason_place_and_untouched_bytes(pool: Pool) -> None:
    part = await begin(pool, "t", partition=3, at=17)
    own = (("ce_id", b"\xff\xfe"), ("ce_id", b"2"), ("none", None))
    big = b"bad" + bytes(range(256)) * 4096
    fence = make_fence(pool, "t", Effects())
    before = datetime.now(UTC)
    await fence.take({part: [record("t", 17, big, partition=3, headers=own), record("t", 18, b"good", partition=3)]})
    [letter] = await letters_of(pool)
    assert letter["topic"] == "t.dlq"
    assert letter["key"] == b"k"
    assert letter["value"] == big
    assert await pool.fetchval("SELECT id FROM outbox_waiting") == letter["id"]
    headers = unpack_headers(letter["raw_headers"])
    assert headers[:3] == list(own)
    told = dict(headers[3:])
    assert datetime.fromisoformat((told.pop("kvittera_dlq_at") or b"").decode()) >= before
    assert told == {
        "kvittera_dlq_reason": b"bad_json",
        "kvittera_dlq_detail": b"no JSON text",
        "kvittera_dlq_topic": b"t",
        "kvittera_dlq_partition": b"3",
        "kvittera_dlq_offset": b"17",
        "kvittera_dlq_service": b"notifier",
    }
    assert await effects_of(pool) == [b"good"]
    assert await progress_of(pool, "t", 3) == 19


GOOD_HEADERS = tuple(to_headers(Event(id="1", source="/s", type="delivery.completed.v1", data=b"{}")))


@pytest.mark.parametrize(
    ("value", "headers", "reason"),
    [
        (b"{", (), "bad_json"),
        (b"\xff\xfe\x00", (), "bad_json"),
        (b"[" * 200_000, (), "bad_json"),
        (b"{}", (), "schema"),
        (b'{"delivery": 5}', GOOD_HEADERS, "schema"),
        (
            b"{}",
            (("ce_id", b"\xff"), ("ce_source", b"/s"), ("ce_type", b"t"), ("ce_specversion", b"1.0")),
            "bad_header",
        ),
        (b'"' + b"x" * (1 << 20) + b'"', GOOD_HEADERS, "schema"),
    ],
)
async def test_real_bad_records_go_to_the_dead_letters_by_the_contracts_own_decoder(
    pool: Pool, value: bytes, headers: tuple[tuple[str, bytes]], reason: str
) -> None:
    part = await begin(pool, "delivery.completed.v1")
    applied: list[Received[DeliveryCompleted]] = []

    async def apply(_: Database, values: list[Received[DeliveryCompleted]]) -> None:
        applied.extend(values)

    fence: Fence[Received[DeliveryCompleted]] = Fence(
        pool=pool,
        service="notifier",
        group="g",
        decode=decoder(DeliveryCompleted, "test"),
        apply=apply,
        dead_letter_topics={"delivery.completed.v1": "delivery.completed.v1.dlq"},
        metrics=Metrics(),
    )
    await fence.take(
        {part: [record(part.topic, 0, value, headers=headers), record(part.topic, 1, None, headers=GOOD_HEADERS)]}
    )
    [letter] = await letters_of(pool)
    assert letter["value"] == value
    assert dict(unpack_headers(letter["raw_headers"]))["kvittera_dlq_reason"] == reason.encode()
    assert applied == []
    assert await progress_of(pool, part.topic) == 2


async def test_only_the_record_that_the_handler_cannot_take_is_put_aside_and_the_others_keep_their_order(
    pool: Pool,
) -> None:
    part, other = await begin(pool, "t"), await begin(pool, "t", partition=1)
    effects = Effects(fail=lambda values: ValueError("CANARY") if b"4" in values else None)
    fence = make_fence(pool, "t", effects)
    batch = {
        part: [record("t", n, b"%d" % n) for n in range(8)],
        other: [record("t", n, b"other %d" % n, partition=1) for n in range(2)],
    }
    await fence.take(batch)
    assert await effects_of(pool) == [b"0", b"1", b"2", b"3", b"5", b"6", b"7", b"other 0", b"other 1"]
    [letter] = await letters_of(pool)
    assert letter["value"] == b"4"
    headers = dict(unpack_headers(letter["raw_headers"]))
    assert headers["kvittera_dlq_reason"] == b"handler_failed"
    assert headers["kvittera_dlq_detail"] == b"ValueError"
    assert "CANARY" not in json.dumps(letter["raw_headers"])
    assert effects.calls.count([b"4"]) == 3
    assert (await progress_of(pool, "t"), await progress_of(pool, "t", 1)) == (8, 2)


async def test_one_bad_record_among_many_costs_a_few_commits_and_not_one_for_each(pool: Pool) -> None:
    part = await begin(pool, "t")
    effects = Effects(fail=lambda values: ValueError() if b"700" in values else None)
    await make_fence(pool, "t", effects).take({part: [record("t", n, b"%d" % n) for n in range(1024)]})
    assert await effects_of(pool) == [b"%d" % n for n in range(1024) if n != 700]
    assert [letter["value"] for letter in await letters_of(pool)] == [b"700"]
    assert len(effects.calls) < 30


async def test_a_gap_while_a_bad_record_is_looked_for_makes_every_partition_of_the_batch_be_read_again(
    pool: Pool,
) -> None:
    part, other = await begin(pool, "t", at=4), await begin(pool, "t", partition=1, at=20)

    class Overtaken(Fence[bytes]):
        async def _commit(self, batch: Batch, condemned: Condemned, meanings: Meanings[bytes] | None = None) -> None:
            await super()._commit(batch, condemned, meanings)
            await pool.execute("UPDATE progress SET next = 2 WHERE part = 0 AND next = 6")

    fence = Overtaken(
        pool=pool,
        service="notifier",
        group="g",
        decode=understand,
        apply=Effects(fail=lambda values: ValueError() if b"7" in values else None),
        dead_letter_topics={"t": "t.dlq"},
        metrics=Metrics(),
        cursors={part: 4, other: 20},
    )
    batch = {
        part: [record("t", n, b"%d" % n) for n in range(4, 8)],
        other: [record("t", n, b"other", partition=1) for n in range(20, 25)],
    }
    with pytest.raises(Gap) as gap:
        await fence.take(batch)
    assert gap.value.positions == {part: 2, other: 20}


async def test_a_process_without_memory_puts_no_record_aside(pool: Pool) -> None:
    part = await begin(pool, "t")
    fence = make_fence(pool, "t", Effects(fail=lambda _: MemoryError()))
    for last in (3, 1):  # several records, and one alone
        with pytest.raises(MemoryError):
            await fence.take({part: [record("t", n, b"%d" % n) for n in range(last)]})
    assert (await letters_of(pool), await effects_of(pool), await progress_of(pool, "t")) == ([], [], 0)


async def test_a_record_that_fails_once_and_then_passes_is_not_put_aside(pool: Pool) -> None:
    part = await begin(pool, "t")
    failures = [ValueError(), ValueError()]
    fence = make_fence(pool, "t", Effects(fail=lambda v: failures.pop() if b"1" in v and failures else None))
    await fence.take({part: [record("t", n, b"%d" % n) for n in range(3)]})
    assert await effects_of(pool) == [b"0", b"1", b"2"]
    assert await letters_of(pool) == []


async def test_a_value_that_the_driver_cannot_send_is_put_aside_and_does_not_block(pool: Pool) -> None:
    part = await begin(pool, "t")

    async def apply(connection: Database, values: list[bytes]) -> None:
        for value in values:
            await connection.execute("SELECT $1::text", "\ud800" if value == b"1" else "fine")

    fence = make_fence(pool, "t", Effects())
    fence.apply = apply
    await fence.take({part: [record("t", n, b"%d" % n) for n in range(3)]})
    assert [letter["value"] for letter in await letters_of(pool)] == [b"1"]
    assert await progress_of(pool, "t") == 3


async def test_a_statement_that_is_wrong_for_every_record_stops_instead_of_putting_all_aside(pool: Pool) -> None:
    part = await begin(pool, "t")
    fence = make_fence(pool, "t", Effects(fail=lambda _: asyncpg.UndefinedTableError("no such table")))
    with pytest.raises(MustStop, match="kvittera migrate"):
        await fence.take({part: [record("t", 0, b"0")]})
    assert await letters_of(pool) == []
    assert await progress_of(pool, "t") == 0


# With a real topic


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
        assert reader.lag == 0
        await asyncio.sleep(3)  # longer than the stall watch allows
        assert not stop.is_set()
        await produce(settings, topic, [b"31"])
        await until(lambda: _has(pool, 16), stop)
    assert await effects_of(pool) == [*numbered(1, 5), *numbered(11, 15), *numbered(21, 25), b"31"]
    # A process that starts where a transaction's marker stands finds no gap either.
    await pool.execute("UPDATE progress SET next = 5 WHERE topic = $1", topic)
    again = Reader(settings, make_fence(pool, topic, Effects()), [topic])
    async with reading(again, own_loop(again, settings)) as stop:
        await until(lambda: _has(pool, 27), stop)


async def test_records_deleted_before_they_were_read_stop_the_service(settings: Settings, pool: Pool) -> None:
    from aiokafka.admin import RecordsToDelete

    topic = await make_topic(settings)
    await produce(settings, topic, numbered(1, 5))
    reader = Reader(settings, make_fence(pool, topic, Effects()), [topic])
    async with reading(reader, own_loop(reader, settings)) as stop:
        await until(lambda: _has(pool, 5), stop)
    await produce(settings, topic, numbered(6, 10))
    admin = make_admin(settings)
    await admin.start()
    await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(before_offset=8)})
    await admin.close()
    again = Reader(settings, make_fence(pool, topic, Effects()), [topic])
    with pytest.raises(MustStop, match="records 5 to 7 were deleted before they were read"):
        async with reading(again, own_loop(again, settings)) as stop:
            await asyncio.wait_for(stop.wait(), 90)
    assert await effects_of(pool) == numbered(1, 5)
    assert await progress_of(pool, topic) == 5


async def test_a_topic_made_again_stops_the_next_start_and_nothing_of_it_counts(settings: Settings, pool: Pool) -> None:
    topic = await make_topic(settings)
    await produce(settings, topic, numbered(1, 5))
    reader = Reader(settings, make_fence(pool, topic, Effects()), [topic])
    async with reading(reader, own_loop(reader, settings)) as stop:
        await until(lambda: _has(pool, 5), stop)
    await _make_again(settings, topic)
    await produce(settings, topic, numbered(101, 120))
    again = Reader(settings, make_fence(pool, topic, Effects()), [topic])
    with pytest.raises(MustStop, match="is not the topic that progress is kept for"):
        async with reading(again, own_loop(again, settings)) as stop:
            await asyncio.wait_for(stop.wait(), 90)
    assert await effects_of(pool) == numbered(1, 5)


async def test_a_topic_made_again_while_it_is_read_stops_the_service_and_nothing_of_it_counts(
    settings: Settings, pool: Pool
) -> None:
    topic = await make_topic(settings)
    await produce(settings, topic, numbered(1, 5))
    reader = Reader(settings, make_fence(pool, topic, Effects()), [topic])
    with pytest.raises(MustStop, match=r"deleted and made again|ends at|does not exist"):  # noqa: PT012
        async with reading(reader, own_loop(reader, settings)) as stop:
            await until(lambda: _has(pool, 5), stop)
            await _make_again(settings, topic)
            await produce(settings, topic, numbered(101, 104))
            await asyncio.wait_for(stop.wait(), 90)
    assert await effects_of(pool) == numbered(1, 5)


async def test_a_topic_that_was_away_when_partitions_were_given_out_and_came_back_as_another_stops_the_service(
    settings: Settings, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "_IDENTITY_EVERY", 0)
    topic, stop = await make_topic(settings), asyncio.Event()
    reader = Reader(settings, make_fence(pool, topic, Effects()), [topic])
    assert await reader.prepare(stop)
    await _make_again(settings, topic)
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
    settings: Settings, pool: Pool, change: str, says: str
) -> None:
    topic = await make_topic(settings)
    await produce(settings, topic, numbered(1, 5))
    reader = Reader(settings, make_fence(pool, topic, Effects()), [topic])
    async with reading(reader, own_loop(reader, settings)) as stop:
        await until(lambda: _has(pool, 5), stop)
    await pool.execute(change)
    again = Reader(settings, make_fence(pool, topic, Effects()), [topic])
    with pytest.raises(MustStop, match=says):
        async with reading(again, own_loop(again, settings)) as stop:
            await asyncio.wait_for(stop.wait(), 90)
    assert await effects_of(pool) == numbered(1, 5)


async def test_a_missing_topic_says_what_to_run(settings: Settings, pool: Pool) -> None:
    reader = Reader(settings, make_fence(pool, "t-missing", Effects()), ["t-missing"])
    with pytest.raises(MustStop, match="topic t-missing does not exist: run `kvittera topics apply`"):
        await reader.prepare(asyncio.Event())


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


async def _make_again(settings: Settings, topic: str) -> None:
    admin = make_admin(settings)
    await admin.start()
    await admin.delete_topics([topic])
    async with asyncio.timeout(60):
        while topic in await admin.list_topics():
            await asyncio.sleep(0.05)
    await admin.close()
    await make_topic(settings, name=topic)
