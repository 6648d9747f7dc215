"""Guarantee 7: what cannot be processed is put aside untouched, and nothing else is."""

import json
from datetime import UTC, datetime

import asyncpg
import pytest

from schemas.cloudevents import Event, to_headers
from schemas.delivery import DeliveryCompleted
from services.chassis.batches import Batch
from services.chassis.deadletter import DeadLetter, unpack_headers
from services.chassis.failures import MustStop
from services.chassis.fence import Fence, Gap
from services.chassis.meanings import Condemned, Meanings
from services.chassis.metrics import Metrics
from services.chassis.postgres import Database, Pool
from services.chassis.records import Received
from services.chassis.records import reading as decoder
from tests.harness import Effects, begin, effects_of, letters_of, make_fence, progress_of, record, understand
from tests.own_topic import pool

__all__ = ["pool"]


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


async def test_what_is_done_with_a_dead_letter_is_committed_with_it_or_not_at_all(pool: Pool) -> None:
    part = await begin(pool, "t")
    fence = make_fence(pool, "t", Effects())

    async def note(connection: Database, letter: DeadLetter) -> None:
        await connection.execute("INSERT INTO effect (value) VALUES ($1)", b"noted " + letter.record.value)

    fence.putting_aside = note
    right = fence._sql
    fence._sql = {**right, "advance_partitions": f"{right['advance_partitions']} AND false"}
    batch = {part: [record("t", 0, b"a"), record("t", 1, b"bad")]}
    with pytest.raises(Gap):
        await fence.take(batch)
    assert await effects_of(pool) == []
    fence._sql = right
    await fence.take(batch)
    assert await effects_of(pool) == [b"a", b"noted bad"]
    assert len(await letters_of(pool)) == 1
