"""Guarantee 6: every committed outbox row reaches Kafka, in key order, and a row sent again keeps its event id."""

import asyncio
import base64
import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from services.chassis.lost_topics import lost_topics
from services.chassis.postgres import Pool, connect
from services.chassis.settings import Settings
from tests.harness import make_topic, read_all, until
from tests.relaying import SQL, empty, in_lost_topics, put, relay, running, values_by_key, waiting, waiting_is


async def write_with_random_commit_delays(pool: Pool, topic: str, *, writers: int = 8, each: int = 25) -> None:
    """Ids are drawn early and committed late, as busy services do. A key belongs to one writer (row lock first)."""

    async def writer(w: int) -> None:
        dice = random.Random(w)
        for n in range(each):
            async with pool.acquire() as connection, connection.transaction():
                await put(connection, topic, b"key %d" % w, b"%d" % n)
                await asyncio.sleep(dice.uniform(0, 0.02))

    await asyncio.gather(*(writer(w) for w in range(writers)))


async def test_eight_writers_with_random_commit_delays_lose_nothing_and_every_key_keeps_its_order(
    settings: Settings, notifier_pool: Pool
) -> None:
    topic = await make_topic(settings, partitions=3)
    async with running(relay(settings).run):
        await write_with_random_commit_delays(notifier_pool, topic)
        await until(empty(notifier_pool))
    records = await read_all(settings, topic, 200)
    assert values_by_key(records) == {b"key %d" % w: list(range(25)) for w in range(8)}
    assert len({dict(r.headers)["ce_id"] for r in records}) == 200


async def test_a_relay_with_a_cursor_on_the_id_would_lose_some(notifier_pool: Pool) -> None:
    seen: list[int] = []
    done = asyncio.Event()

    async def naive() -> None:
        last = 0
        while not done.is_set():
            rows = await notifier_pool.fetch("SELECT id FROM outbox WHERE id > $1 ORDER BY id", last)
            seen.extend(r["id"] for r in rows)
            last = rows[-1]["id"] if rows else last
            await asyncio.sleep(0.002)

    cursor = asyncio.create_task(naive())
    await write_with_random_commit_delays(notifier_pool, "t")
    await asyncio.sleep(0.1)
    done.set()
    await cursor
    assert await notifier_pool.fetchval("SELECT count(*) FROM outbox") == 200
    assert len(seen) < 200


async def test_a_row_becomes_a_record_with_key_value_and_event_id(settings: Settings, notifier_pool: Pool) -> None:
    topic = await make_topic(settings)
    async with running(relay(settings).run):
        await put(notifier_pool, topic, b"k", b'{"a":1}')
        await put(notifier_pool, topic, b"k", None)
        await until(empty(notifier_pool))
    first, gone = await read_all(settings, topic, 2)
    event_id = await notifier_pool.fetchval("SELECT event_id FROM outbox ORDER BY id LIMIT 1")
    assert (first.key, first.value) == (b"k", b'{"a":1}')
    assert dict(first.headers)["ce_id"] == str(event_id).encode()
    assert dict(first.headers)["ce_source"] == b"/kvittera/notifier"
    assert (gone.key, gone.value) == (b"k", None)


async def test_a_wake_up_call_sends_at_once(
    settings: Settings, notifier_pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.chassis.outbox._QUIET", 600)  # without a call nothing would be looked for
    topic = await make_topic(settings)
    relaying = relay(settings)
    await put(notifier_pool, topic, b"k", b"0")
    async with running(relaying.run) as stop:
        await until(empty(notifier_pool))
        await put(notifier_pool, topic, b"k", b"1")
        relaying.wake()
        await until(empty(notifier_pool))
        stop.set()
        relaying.wake()


async def test_of_two_relays_one_works_on_a_shard_and_the_other_takes_over_when_it_dies(
    settings: Settings, notifier_pool: Pool
) -> None:
    topic = await make_topic(settings)
    first, second = relay(settings), relay(settings)
    async with running(second.run):
        dying = asyncio.Event()
        holder = asyncio.create_task(first.run(dying))
        for n in range(30):
            await put(notifier_pool, topic, b"key %d" % (n % 8), b"%d" % n)
            await asyncio.sleep(0.01)
        await until(empty(notifier_pool))
        held = await notifier_pool.fetch(
            "SELECT objid AS shard, count(*) AS holders FROM pg_locks"
            " WHERE locktype = 'advisory' AND granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            " GROUP BY objid ORDER BY objid"
        )
        assert [(r["shard"], r["holders"]) for r in held] == [(0, 1), (1, 1), (2, 1), (3, 1)]
        await asyncio.sleep(1.2)  # both have looked for more shards again
        holder.cancel()
        await asyncio.gather(holder, return_exceptions=True)
        for n in range(30, 60):
            await put(notifier_pool, topic, b"key %d" % (n % 8), b"%d" % n)
        await until(empty(notifier_pool))
    records = await read_all(settings, topic, 60)
    assert values_by_key(records) == {b"key %d" % k: list(range(k, 60, 8)) for k in range(8)}


async def test_a_row_that_kafka_refuses_holds_back_its_own_key_only_and_repeats_nothing_else(
    settings: Settings, notifier_pool: Pool
) -> None:
    topic = await make_topic(settings, config={"max.message.bytes": "100000"})
    await put(notifier_pool, topic, b"stuck", b"7" * 300_000)
    await put(notifier_pool, topic, b"stuck", b"8")
    for n in range(40):
        await put(notifier_pool, topic, b"key %d" % (n % 8), b"%d" % n)
    async with running(relay(settings).run):
        await until(waiting_is(notifier_pool, 2))
        await asyncio.sleep(1)
        assert await waiting(notifier_pool) == 2
        left = await notifier_pool.fetch("SELECT DISTINCT key FROM outbox JOIN outbox_waiting USING (shard, id)")
        assert [r["key"] for r in left] == [b"stuck"]
        await notifier_pool.execute("UPDATE outbox SET value = '7' WHERE length(value) > 100000")
        await until(empty(notifier_pool))
    records = [r for r in await read_all(settings, topic, 42) if r.key != b"stuck"]
    assert values_by_key(records) == {b"key %d" % k: list(range(k, 40, 8)) for k in range(8)}


async def test_rows_of_a_topic_that_kafka_does_not_have_hold_up_no_other_and_go_out_in_order_when_it_has_it(
    settings: Settings, notifier_pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.chassis.record_batches._MISSING_AFTER", 0.1)
    topic, lost = await make_topic(settings), f"gone.{random.randrange(10**9)}"
    await notifier_pool.execute(  # more of it in one shard than a pass reads
        "INSERT INTO outbox (shard, topic, key, value)"
        " SELECT 0, $1, 'k', n::text::bytea FROM generate_series(1, 1200) AS n",
        lost,
    )
    await notifier_pool.execute("INSERT INTO outbox (shard, topic, key, value) VALUES (0, $1, 'k', '7')", topic)
    first, second = relay(settings), relay(settings)
    with capture_logs() as lines:
        async with running(first.run):
            [record] = await read_all(settings, topic, 1)
            await until(waiting_is(notifier_pool, 1200))
            await put_last(notifier_pool, lost, 1201)
            await until(_nothing_in_sight(notifier_pool))
            assert in_lost_topics(first, lost) == 1201
    assert record.value == b"7"
    assert [(line["action"], line["topic"]) for line in lines if line["log_level"] == "error"] == [("put_aside", lost)]
    assert in_lost_topics(first, lost) == 0  # who has no shards has no rows in them
    async with notifier_pool.acquire() as connection:
        assert await lost_topics(connection) == {lost: 1201}

    await make_topic(settings, name=lost)
    await put_last(notifier_pool, lost, 1202)
    async with running(second.run):  # which did not put them aside
        await until(empty(notifier_pool))
    assert [int(r.value) for r in await read_all(settings, lost, 1202)] == list(range(1, 1203))
    assert in_lost_topics(second, lost) == 0


async def put_last(pool: Pool, topic: str, n: int) -> None:
    await pool.execute("INSERT INTO outbox (shard, topic, key, value) VALUES (0, $1, 'k', $2)", topic, b"%d" % n)


async def test_dead_letters_keep_their_raw_headers_and_bytes(settings: Settings, notifier_pool: Pool) -> None:
    topic = await make_topic(settings)
    raw = [["ce_id", base64.b64encode(b"\xff\xfe").decode()], ["empty", None], ["kvittera_dlq_reason", "YmFkX2pzb24="]]
    await notifier_pool.execute(
        "INSERT INTO outbox (shard, topic, key, value, raw_headers) VALUES (0, $1, NULL, $2, $3)",
        topic,
        b"\x00\xff{",
        json.dumps(raw),
    )
    async with running(relay(settings).run):
        await until(empty(notifier_pool))
    [record] = await read_all(settings, topic, 1)
    assert record.key is None
    assert record.value == b"\x00\xff{"
    assert list(record.headers) == [("ce_id", b"\xff\xfe"), ("empty", None), ("kvittera_dlq_reason", b"bad_json")]


async def test_published_rows_are_kept_for_a_while_and_can_be_published_again(
    settings: Settings, notifier_pool: Pool
) -> None:
    topic = await make_topic(settings)
    for n in range(3):
        await put(notifier_pool, topic, b"k", b"%d" % n)
    await notifier_pool.execute("UPDATE outbox SET happened_at = happened_at - interval '2 hours' WHERE value = '0'")
    async with running(relay(settings).run):
        await until(empty(notifier_pool))
        await notifier_pool.execute(SQL["publish_again_since"], datetime.now(UTC) - timedelta(hours=1))
        await until(empty(notifier_pool))
    records = await read_all(settings, topic, 5)
    assert [r.value for r in records] == [b"0", b"1", b"2", b"1", b"2"]
    ids = [dict(r.headers)["ce_id"] for r in records]
    assert ids[1:3] == ids[3:]
    # Only rows that were written longer ago than that are forgotten, and never those that wait.
    await put(notifier_pool, topic, b"k", b"3")
    await notifier_pool.execute(
        "UPDATE outbox SET happened_at = happened_at - interval '73 hours' WHERE value IN ('1', '3')"
    )
    await notifier_pool.execute(SQL["forget_published"], settings.outbox_keep_hours * 3600, 0)
    left = await notifier_pool.fetch("SELECT value FROM outbox ORDER BY id")
    assert [r["value"] for r in left] == [b"0", b"2", b"3"]


async def test_the_wait_is_measured(settings: Settings, notifier_pool: Pool) -> None:
    await put(notifier_pool, "t", b"k", b"0")
    await notifier_pool.execute("UPDATE outbox SET happened_at = happened_at - interval '90 seconds'")
    relaying = relay(settings)
    connection = await connect(settings, "notifier")
    await relaying._measure(connection)
    await connection.close()
    assert relaying._metrics.registry.get_sample_value("kvittera_outbox_waiting") == 1
    age = relaying._metrics.registry.get_sample_value("kvittera_outbox_age_seconds")
    assert age is not None
    assert 90 <= age < 120


async def test_the_wait_is_measured_at_the_start_and_again_while_nothing_moves(
    settings: Settings, notifier_pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = await make_topic(settings)
    await put(notifier_pool, topic, b"k", b"0")
    relaying, measured = relay(settings), list[float]()
    monkeypatch.setattr(
        relaying._metrics, "set", lambda name, value: measured.append(value) if "waiting" in name else 0
    )

    async def measured_three_times() -> bool:
        return len(measured) >= 3

    async with running(relaying.run):
        await until(measured_three_times, seconds=20)
    assert measured[0] == 1
    assert measured[-1] == 0


async def test_the_wait_is_measured_while_there_is_always_more_to_move(
    settings: Settings, notifier_pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.chassis.outbox._MEASURE_EVERY", 0.2)
    topic = await make_topic(settings)
    relaying, ages = relay(settings), list[float]()
    monkeypatch.setattr(relaying._metrics, "set", lambda name, value: ages.append(value) if "age" in name else 0)
    moved = relaying._move

    async def more_than_leaves(*told: Any) -> Any:
        await put(notifier_pool, topic, b"k", b"1")
        return await moved(*told)

    monkeypatch.setattr(relaying, "_move", more_than_leaves)

    async def measured_again_and_again() -> bool:
        return len(ages) >= 4

    async with running(relaying.run):
        await until(measured_again_and_again, seconds=20)


def _nothing_in_sight(pool: Pool) -> Callable[[], Any]:
    async def ask() -> bool:
        return not await pool.fetchval("SELECT EXISTS (SELECT FROM outbox_waiting WHERE shard < 4)")

    return ask
