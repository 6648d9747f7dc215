"""Guarantee 2: effects and reading position commit together, whoever brings the records, and however often."""

import asyncio

import asyncpg
import pytest
from aiokafka import TopicPartition
from structlog.testing import capture_logs

from services.chassis.failures import MustStop, TryAgain
from services.chassis.fence import Gap
from services.chassis.message_lines import MessageLines
from services.chassis.postgres import Pool
from services.chassis.record_lines import RecordLines
from tests.harness import Effects, begin, effects_of, letters_of, make_fence, progress_of, record, until
from tests.own_topic import pool

__all__ = ["pool"]


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
