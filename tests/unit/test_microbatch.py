"""Flush when idle: concurrent writes share one statement, nobody pays for a neighbour, order of a key is kept."""

import asyncio
from collections.abc import Sequence

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.chassis.failures import Overloaded, Poison
from services.chassis.microbatch import MicroBatcher

Item = tuple[str, int]


class Table:
    """A fake table: remembers every flush; `bad` items fail the whole statement, as a constraint would."""

    def __init__(self, bad: frozenset[Item] = frozenset()) -> None:
        self.flushes: list[list[Item]] = []
        self.kept: list[Item] = []
        self.bad = bad
        self.writing: set[str] = set()
        self.gate = asyncio.Event()
        self.gate.set()
        self.away = False

    async def write(self, items: Sequence[Item]) -> list[str]:
        self.flushes.append(list(items))
        assert not self.writing & {key for key, _ in items}, "a key is written twice at once"
        self.writing |= {key for key, _ in items}
        await self.gate.wait()
        await asyncio.sleep(0)
        self.writing -= {key for key, _ in items}
        if self.away:
            raise asyncpg.ConnectionDoesNotExistError("gone")
        if self.bad & set(items):
            raise asyncpg.CheckViolationError("no")
        self.kept += items
        return [f"{key}{n}" for key, n in items]


def batcher(table: Table, *, largest: int = 512, queue: int = 4096, flushes: int = 1) -> MicroBatcher[Item, str]:
    return MicroBatcher(table.write, key=lambda item: item[0], largest=largest, queue=queue, flushes=flushes)


async def test_the_first_write_goes_at_once_and_those_that_come_meanwhile_share_the_next_flush() -> None:
    table = Table()
    table.gate.clear()
    writes = batcher(table)
    first = asyncio.create_task(writes.submit(("a", 1)))
    await asyncio.sleep(0.001)
    assert table.flushes == [[("a", 1)]]
    rest = [asyncio.create_task(writes.submit((key, 1))) for key in "bcde"]
    await asyncio.sleep(0.001)
    assert len(table.flushes) == 1
    table.gate.set()
    assert await asyncio.gather(first, *rest) == ["a1", "b1", "c1", "d1", "e1"]
    assert table.flushes[1:] == [[("b", 1), ("c", 1), ("d", 1), ("e", 1)]]


async def test_sixteen_that_wait_get_a_flush_beside_the_one_under_way_and_fifteen_do_not() -> None:
    table = Table()
    table.gate.clear()
    writes = batcher(table, flushes=3)
    tasks = [asyncio.create_task(writes.submit(("first", 1)))]
    await asyncio.sleep(0.001)
    tasks += [asyncio.create_task(writes.submit((f"s{n}", 1))) for n in range(15)]
    await asyncio.sleep(0.001)
    assert [len(flush) for flush in table.flushes] == [1]
    tasks += [asyncio.create_task(writes.submit(("s15", 1)))]
    await asyncio.sleep(0.001)
    assert [len(flush) for flush in table.flushes] == [1, 16]
    tasks += [asyncio.create_task(writes.submit((f"t{n}", 1))) for n in range(16)]
    await asyncio.sleep(0.001)
    tasks += [asyncio.create_task(writes.submit((f"u{n}", 1))) for n in range(20)]
    await asyncio.sleep(0.001)
    assert [len(flush) for flush in table.flushes] == [1, 16, 16]  # three at most
    table.gate.set()
    await asyncio.gather(*tasks)
    assert [len(flush) for flush in table.flushes] == [1, 16, 16, 20]
    await writes.drained()


async def test_a_key_under_way_waits_for_its_flush_while_others_pass() -> None:
    table = Table()
    table.gate.clear()
    writes = batcher(table, flushes=2)
    tasks = [asyncio.create_task(writes.submit(("a", 1)))]
    await asyncio.sleep(0.001)
    tasks += [asyncio.create_task(writes.submit(item)) for item in [("a", 2), *((f"b{n}", 1) for n in range(15))]]
    await asyncio.sleep(0.001)
    assert table.flushes[1:] == [[(f"b{n}", 1) for n in range(15)]]
    table.gate.set()
    await asyncio.gather(*tasks)
    assert table.flushes[2:] == [[("a", 2)]]


async def test_a_write_that_comes_as_a_flush_ends_is_not_forgotten() -> None:
    table = Table()
    writes = batcher(table, flushes=2)
    second: asyncio.Future[str] | None = None

    def go_on(_: object) -> None:
        nonlocal second
        second = writes.put(("b", 1))

    writes.put(("a", 1)).add_done_callback(go_on)
    await asyncio.sleep(0.01)
    assert second is not None
    assert second.done()


async def test_a_caller_hears_back_only_after_its_own_flush() -> None:
    table = Table()
    table.gate.clear()
    writes = batcher(table)
    write = asyncio.create_task(writes.submit(("a", 1)))
    await asyncio.sleep(0.01)
    assert not write.done()
    assert table.kept == []
    table.gate.set()
    assert await write == "a1"


async def test_writes_of_one_key_never_share_a_flush_and_keep_their_order() -> None:
    table = Table()
    writes = batcher(table)
    wanted = [("a", 1), ("a", 2), ("b", 1), ("a", 3), ("b", 2), ("c", 1)]
    assert await asyncio.gather(*map(writes.submit, wanted)) == ["a1", "a2", "b1", "a3", "b2", "c1"]
    assert table.flushes == [[("a", 1), ("b", 1), ("c", 1)], [("a", 2), ("b", 2)], [("a", 3)]]


@given(
    keys=st.lists(st.sampled_from("abcdefghijkl"), min_size=1, max_size=25),
    bad=st.sets(st.integers(0, 24)),
    largest=st.integers(1, 5),
    flushes=st.integers(1, 3),
)
async def test_good_items_are_kept_once_in_key_order_and_bad_ones_fail_alone(
    keys: list[str], bad: set[int], largest: int, flushes: int
) -> None:
    items = list(zip(keys, range(len(keys)), strict=True))
    table = Table(frozenset(item for item in items if item[1] in bad))
    writes = batcher(table, largest=largest, flushes=flushes)
    outcomes = await asyncio.gather(*map(writes.submit, items), return_exceptions=True)
    for item, outcome in zip(items, outcomes, strict=True):
        if item in table.bad:
            assert isinstance(outcome, asyncpg.CheckViolationError)
        else:
            assert outcome == f"{item[0]}{item[1]}"
    for key in set(keys):
        assert [i for i in table.kept if i[0] == key] == [i for i in items if i[0] == key and i not in table.bad]
    for flush in table.flushes:
        assert len(flush) <= largest
        assert len({key for key, _ in flush}) == len(flush)


async def test_too_many_waiting_writes_are_turned_away_before_anything_of_them_is_kept() -> None:
    table = Table()
    table.gate.clear()
    writes = batcher(table, queue=2)
    accepted = [asyncio.create_task(writes.submit(("first", 0)))]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    accepted += [asyncio.create_task(writes.submit((f"k{n}", n))) for n in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await writes.submit(("late", 0))
    table.gate.set()
    assert await asyncio.gather(*accepted) == ["first0", "k00", "k11"]
    assert ("late", 0) not in table.kept
    assert await writes.submit(("late", 1)) == "late1"


async def test_a_passing_failure_reaches_every_caller_without_halving_the_batch() -> None:
    table = Table()
    table.gate.clear()
    table.away = True
    writes = batcher(table)
    tasks = [asyncio.create_task(writes.submit((key, 1))) for key in "abcd"]
    await asyncio.sleep(0.001)
    table.gate.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(o) for o in outcomes] == [asyncpg.ConnectionDoesNotExistError] * 4
    assert len(table.flushes) == 1
    table.away = False
    assert await writes.submit(("a", 2)) == "a2"


async def test_a_caller_that_gives_up_disturbs_nobody() -> None:
    table = Table()
    table.gate.clear()
    writes = batcher(table)
    leaving, staying = (asyncio.create_task(writes.submit((key, 1))) for key in "ab")
    await asyncio.sleep(0.001)
    leaving.cancel()
    table.gate.set()
    assert await staying == "b1"
    assert leaving.cancelled()


async def test_drained_waits_for_everything_that_was_taken() -> None:
    table = Table()
    table.gate.clear()
    writes = batcher(table)
    tasks = [asyncio.create_task(writes.submit(("a", n))) for n in range(3)]
    await asyncio.sleep(0.001)
    asyncio.get_running_loop().call_later(0.01, table.gate.set)
    await writes.drained()
    assert table.kept == [("a", 0), ("a", 1), ("a", 2)]
    await asyncio.gather(*tasks)
    await writes.drained()


async def test_a_flush_that_answers_for_the_wrong_number_of_items_fails_its_callers_and_leaves_nobody_waiting() -> None:
    async def forgetful(items: Sequence[Item]) -> list[str]:
        return ["x"] * (len(items) - 1)

    writes: MicroBatcher[Item, str] = MicroBatcher(forgetful, key=lambda item: item[0])
    async with asyncio.timeout(5):
        outcomes = await asyncio.gather(*(writes.submit((k, 1)) for k in "aab"), return_exceptions=True)
    assert all(isinstance(o, RuntimeError) for o in outcomes)


async def test_poison_named_by_the_flush_reaches_its_own_caller() -> None:
    async def choosy(items: Sequence[Item]) -> list[str]:
        if ("b", 1) in items:
            raise Poison("locked")
        return [key for key, _ in items]

    writes: MicroBatcher[Item, str] = MicroBatcher(choosy, key=lambda item: item[0])
    outcomes = await asyncio.gather(*(writes.submit((k, 1)) for k in "abc"), return_exceptions=True)
    assert outcomes[0] == "a"
    assert isinstance(outcomes[1], Poison)
    assert outcomes[2] == "c"


PATIENCE = 0.05


def impatient(table: Table, *, flushes: int = 1) -> MicroBatcher[Item, str]:
    return MicroBatcher(table.write, key=lambda item: item[0], flushes=flushes, patience=PATIENCE)


async def test_who_waits_for_too_long_is_told_and_what_was_not_begun_is_never_written() -> None:
    table = Table()
    table.gate.clear()
    writes = impatient(table)
    first = asyncio.create_task(writes.submit(("a", 1)))
    await asyncio.sleep(0.001)
    waiting = [first, *(asyncio.create_task(writes.submit((key, 2))) for key in "ab")]
    async with asyncio.timeout(10):
        told = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(error) for error in told] == [TimeoutError] * 3
    table.gate.set()
    await writes.drained()
    assert await writes.submit(("c", 1)) == "c1"
    assert table.kept == [("a", 1), ("c", 1)]  # the first was on its way


async def test_while_nothing_comes_to_an_end_who_comes_is_told_at_once() -> None:
    table = Table()
    table.gate.clear()
    writes = impatient(table)
    with pytest.raises(TimeoutError):
        await writes.submit(("a", 1))
    late = writes.put(("b", 1))
    assert late.done()
    assert isinstance(late.exception(), TimeoutError)
    table.gate.set()
    await writes.drained()
    assert await writes.submit(("b", 2)) == "b2"


async def test_while_one_flush_comes_to_no_end_another_is_tried() -> None:
    table = Table()
    table.gate.clear()
    writes = impatient(table, flushes=2)
    with pytest.raises(TimeoutError):
        await writes.submit(("a", 1))
    second = asyncio.create_task(writes.submit(("b", 1)))
    await asyncio.sleep(0.001)
    assert table.flushes == [[("a", 1)], [("b", 1)]]
    table.gate.set()
    assert await second == "b1"


async def test_an_item_whose_caller_went_away_is_written_all_the_same() -> None:
    table = Table()
    table.gate.clear()
    writes = impatient(table)
    first = asyncio.create_task(writes.submit(("a", 1)))
    await asyncio.sleep(0.001)
    gone = asyncio.create_task(writes.submit(("b", 1)))
    await asyncio.sleep(0.001)
    gone.cancel()
    table.gate.set()
    await first
    await writes.drained()
    assert table.kept == [("a", 1), ("b", 1)]
