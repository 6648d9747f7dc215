"""`kvittera dlq`: what was put aside can be looked at, and sent again once the cause is gone."""

import asyncio
import tracemalloc
from collections.abc import Iterable
from datetime import UTC, datetime

import pytest
from aiokafka import TopicPartition
from typer.testing import CliRunner

from schemas.topics import CARDS, DELIVERY_CORRECTED, DELIVERY_DISRUPTION, INVITATION_PROGRESS
from services.chassis.consumer import Reader
from services.chassis.deadletter import DeadLetter
from services.chassis.deadletter_drop import Dropping, drop_letters
from services.chassis.deadletter_store import count_letters, read_letters, replay_letters, topics_with_dead_letters
from services.chassis.failures import MustStop
from services.chassis.outbox import Relay
from services.chassis.postgres import Pool
from services.chassis.record_batches import Record, send_all
from services.chassis.settings import Settings
from services.chassis.topic_admin import apply_topics
from services.cli import app
from tests.harness import (
    Effects,
    effects_of,
    make_effects,
    make_fence,
    own_loop,
    producing,
    read_all,
    reading,
    record,
    until,
)

TOPIC = DELIVERY_DISRUPTION
GRAVE = f"{TOPIC}.dlq"
NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)


@pytest.fixture
async def letters(settings: Settings) -> int:
    """Three letters more in the shared dead-letter topic; tells how many were there before."""
    await apply_topics(settings, [CARDS[TOPIC], CARDS[GRAVE]])
    before = len(await read_letters(settings, TOPIC))
    async with producing(settings) as producer:
        for n, reason in enumerate(["bad_json", "schema", "bad_json"]):
            own = record(TOPIC, n, b"bad %d" % n, headers=(("x", b"\xff"), ("n", None)))
            headers = DeadLetter(own, reason, "a detail").headers("notifier", NOW)
            await producer.send_and_wait(GRAVE, own.value, key=own.key, headers=headers)
    return before


async def test_letters_are_read_oldest_first_with_what_was_told_about_them(settings: Settings, letters: int) -> None:
    found = (await read_letters(settings, TOPIC))[letters:]
    assert [x.record.value for x in found] == [b"bad 0", b"bad 1", b"bad 2"]
    assert found[1].told == {
        "reason": "schema",
        "detail": "a detail",
        "topic": TOPIC,
        "partition": "0",
        "offset": "1",
        "at": "2026-11-22T06:00:00+00:00",
        "service": "notifier",
    }


async def test_a_topic_without_dead_letters_says_which_have_some(settings: Settings) -> None:
    with pytest.raises(MustStop, match=r"nonsense has no dead letters; topics that have: delivery\.completed\.v1"):
        await read_letters(settings, "nonsense")


@pytest.mark.usefixtures("letters")
async def test_replay_sends_the_untouched_records_of_the_named_reason_each_once(settings: Settings) -> None:
    assert await replay_letters(settings, TOPIC, reason="schema", dry_run=True) == 1
    assert await replay_letters(settings, TOPIC, reason="schema", dry_run=False) == 1
    sent = await read_all(settings, TOPIC, 1)
    assert (sent[-1].key, sent[-1].value) == (b"k", b"bad 1")
    assert list(sent[-1].headers) == [("x", b"\xff"), ("n", None)]


@pytest.mark.usefixtures("letters")
async def test_a_letter_that_left_out_its_value_is_told_and_not_replayed(settings: Settings) -> None:
    own = record(TOPIC, 3, b"large")
    headers = DeadLetter(own, "too_large_here", "a detail").headers("notifier", NOW)
    headers.append(("kvittera_dlq_left_out", b"9000000"))
    async with producing(settings) as producer:
        await producer.send_and_wait(GRAVE, None, key=own.key, headers=headers)
    letter = (await read_letters(settings, TOPIC))[-1]
    assert (letter.told["offset"], letter.told["left_out"]) == ("3", "9000000")
    assert await replay_letters(settings, TOPIC, reason="too_large_here", dry_run=True) == 0


async def test_a_record_put_aside_is_processed_once_after_the_repair_and_replaying_bad_ones_breeds_none(
    settings: Settings, notifier_pool: Pool
) -> None:
    await apply_topics(settings, [CARDS[TOPIC], CARDS[GRAVE]])
    await make_effects(notifier_pool)
    broken = [True]
    effects = Effects(fail=lambda values: ValueError() if broken and b"repairable" in values else None)
    reader = Reader(settings, make_fence(notifier_pool, TOPIC, effects), [TOPIC])
    relay = Relay(settings, "notifier", reader.fence.metrics)

    async def relayed() -> bool:
        rows = await notifier_pool.fetchrow(
            "SELECT count(*) AS n, (SELECT count(*) FROM outbox_waiting) AS waiting FROM outbox"
        )
        return rows is not None and rows["n"] >= 1 and rows["waiting"] == 0

    async def done() -> bool:
        return b"repairable" in await effects_of(notifier_pool)

    async with reading(reader, own_loop(reader, settings)) as stop:
        relaying = asyncio.create_task(relay.run(stop))
        async with producing(settings) as producer:
            await producer.send_and_wait(TOPIC, b"repairable", key=b"k")
        await until(relayed, stop)
        broken.clear()
        assert await replay_letters(settings, TOPIC, reason="handler_failed", dry_run=False) == 1
        await until(done, stop)
    await relaying
    assert (await effects_of(notifier_pool)).count(b"repairable") == 1
    # The same record twice in the dead letters is sent once.
    async with producing(settings) as producer:
        own = record(TOPIC, 99, b"repairable")
        headers = DeadLetter(own, "handler_failed", "ValueError").headers("notifier", NOW)
        await producer.send_and_wait(GRAVE, own.value, key=own.key, headers=headers)
    assert await replay_letters(settings, TOPIC, reason="handler_failed", dry_run=True) == 1


@pytest.mark.usefixtures("letters")
async def test_the_command_lists_shows_and_replays_and_hides_values_unless_asked(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KVITTERA_KAFKA_BOOTSTRAP", settings.kafka_bootstrap)

    async def run(*words: str) -> str:
        done = await asyncio.to_thread(CliRunner().invoke, app, ["dlq", *words])
        assert done.exit_code == 0, done.output
        return done.output

    await apply_topics(settings, [CARDS[f"{t}.dlq"] for t in topics_with_dead_letters()])
    listed = await run("list", TOPIC)
    assert f"{TOPIC}\n{listed}" in await run("list")
    assert "schema  a detail" in listed
    assert "in all" in listed
    shown = await run("show", TOPIC, "--limit", "2")
    assert f"2026-11-22T06:00:00+00:00  {TOPIC}/0@2  bad_json  a detail" in shown
    assert "bad 2" not in shown
    assert "b'bad 2'" in await run("show", TOPIC, "--values")
    assert f"1 would be sent to {TOPIC}" in await run("replay", TOPIC, "--reason", "schema", "--dry-run")
    assert "0 were dropped" in await run("drop", TOPIC, "--before", "2026-01-01", "--yes")
    assert listed == await run("list", TOPIC)
    total = listed.split()[-3]
    assert f"{total} would be dropped" in await run("drop", TOPIC, "--before", "2100-01-01", "--dry-run")
    assert f"{total} were dropped" in await run("drop", TOPIC, "--before", "2100-01-01", "--yes")
    assert (await run("list", TOPIC)).split() == ["0", "in", "all"]


async def put_aside(settings: Settings, topic: str, letters: Iterable[tuple[bytes, bytes]]) -> None:
    """Letters in a topic of dead letters, by key and value."""
    await apply_topics(settings, [CARDS[topic], CARDS[f"{topic}.dlq"]])
    told = DeadLetter(record(topic, 0, b""), "schema", "a detail").headers("notifier", NOW)
    async with producing(settings) as producer:
        records = [Record(f"{topic}.dlq", key, value, told) for key, value in letters]
        assert not any(await send_all(producer, records))


async def test_what_a_replay_cannot_remember_at_once_is_sent_each_once_and_in_the_order_of_its_key(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.chassis.deadletter_store._REMEMBERED", 3)
    topic = DELIVERY_CORRECTED
    twice = [(b"key %d" % (n % 4), b"value %d" % n) for n in range(20)] * 2
    await put_aside(settings, topic, twice)

    assert await replay_letters(settings, topic, reason=None, dry_run=True) == 20
    assert await replay_letters(settings, topic, reason=None, dry_run=False) == 20

    sent = await read_all(settings, topic, 20)
    for n in range(4):
        assert [r.value for r in sent if r.key == b"key %d" % n] == [b"value %d" % v for v in range(n, 20, 4)]


async def test_no_command_holds_all_letters_however_many_there_are(settings: Settings) -> None:
    topic, number = INVITATION_PROGRESS, 10_000
    await put_aside(settings, topic, ((b"%d" % n, b"%0600d" % n) for n in range(number)))

    async def read_newest() -> list[bytes | None]:
        return [x.record.value for x in await read_letters(settings, topic, newest=2)]

    dropping = Dropping(settings, topic, {TopicPartition(f"{topic}.dlq", 0): number - 1})
    past, future = NOW.replace(year=2000), NOW.replace(year=2100)
    tracemalloc.start()
    try:
        # All of them take 28 MB at once, and what is on the way from Kafka 12.
        for work, found in (
            (count_letters(settings, topic), {("schema", "a detail"): number}),
            (read_newest(), [b"%0600d" % (number - 2), b"%0600d" % (number - 1)]),
            (replay_letters(settings, topic, reason="schema", dry_run=True), number),
            (drop_letters(settings, topic, before=future, dry_run=True), number),
            (drop_letters(settings, topic, before=past, dry_run=True), 0),
            (left_of(dropping), 1),
        ):
            tracemalloc.reset_peak()
            before, _ = tracemalloc.get_traced_memory()
            assert await work == found
            _, peak = tracemalloc.get_traced_memory()
            assert peak - before < 18e6, work
    finally:
        tracemalloc.stop()


async def left_of(dropping: Dropping) -> int:
    """How many letters would be left."""
    return sum([not goes async for batch in dropping.values() for _, goes in batch])
