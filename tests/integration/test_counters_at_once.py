"""Counted exactly once (guarantee 2) where several counters, or large batches, meet in the same rows."""

import asyncio
import random
from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from services.aggregator.counting import stored_answers, stored_cells
from services.aggregator.counting import units as units_module
from services.aggregator.counting.cuts import load_cuts
from services.aggregator.counting.units import Units
from services.aggregator.counting.windows import Int64
from services.aggregator.handlers import CountBatch
from services.chassis.bigint_copy import write_rows
from services.chassis.failures import TryAgain
from services.chassis.metrics import Metrics
from services.chassis.postgres import Database, Pool
from tests.counting import answer, audit, count, opened, pool, table

__all__ = ["pool"]

pytestmark = pytest.mark.service("aggregator")


async def test_an_answer_that_is_counted_elsewhere_meanwhile_is_tried_again(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_answers, "_MANY", 1)
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    batch = CountBatch(Units(pool, load_cuts(None)), Metrics(), lambda _, __: None)
    async with pool.acquire() as connection, connection.transaction():
        await batch(connection, [opened(1)])
        second = asyncio.create_task(count(pool, answer(1, 1, 5)))
        while not second.done() and not await pool.fetchval(waiting):
            await asyncio.sleep(0.01)
    with pytest.raises(TryAgain):
        await second
    await count(pool, answer(1, 1, 5))
    assert (await table(pool))["total", "", "all", None] == {"s5": 1, "opened": 1}
    assert await audit(pool) == []


async def test_a_page_opened_elsewhere_does_not_hide_the_series_of_its_answer(pool: Pool) -> None:
    await pool.execute("INSERT INTO counted_cut (cut, windows, state) VALUES ('terminal.series', 31, 'counted')")
    await count(pool, opened(1, terminal="Luleå"))
    await count(pool, replace(answer(1, 1, 5, terminal="Årsta"), suspected_machine=True))
    found = {place[:2]: counters for place, counters in (await table(pool)).items() if place[2] == "all"}
    assert found == {("series", "machine"): {"s5": 1}, ("terminal.series", "Årsta × machine"): {"s5": 1}}


async def test_two_counters_that_find_the_same_new_cells_wait_for_each_other(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_cells, "_MANY", 1)
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    units = Units(pool, load_cuts(None))
    batch = CountBatch(units, Metrics(), lambda _, __: None)
    async with pool.acquire() as connection, connection.transaction():
        await batch(connection, [answer(1, 1, 5)])
        second = asyncio.create_task(count(pool, answer(2, 1, 5)))
        while not second.done() and not await pool.fetchval(waiting):
            await asyncio.sleep(0.01)
    await second
    assert {tuple(c.items()) for c in (await table(pool)).values()} == {(("s5", 2), ("opened", 2))}
    assert await audit(pool) == []


async def test_many_answers_are_kept_in_the_order_of_their_numbers(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_answers, "_MANY", 1)
    dice = random.Random(3)
    numbers = [dice.getrandbits(128) for _ in range(50)]
    await count(pool, *[answer(number, 1, 5) for number in numbers])
    kept = [row[0].int for row in await pool.fetch("SELECT response_id FROM answer ORDER BY ctid")]
    assert kept == sorted(numbers)


async def test_a_large_batch_looks_up_what_there_is_in_indexes_before_any_statistics_are_known(pool: Pool) -> None:
    batch = CountBatch(Units(pool, load_cuts(None)), Metrics(), lambda _, __: None)
    scanned = "SELECT relname, seq_scan FROM pg_stat_xact_user_tables WHERE relname IN ('answer', 'cell') ORDER BY 1"
    for first in (0, 3000):
        async with pool.acquire() as connection, connection.transaction():
            await batch(connection, [answer(n, 1, 5, terminal=f"T-{n % 900}") for n in range(first, first + 3000)])
            assert [tuple(row) for row in await connection.fetch(scanned)] == [("answer", 0), ("cell", 0)]
    assert await audit(pool) == []


async def test_a_cell_deleted_while_a_large_batch_adds_to_it_makes_the_batch_count_again(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_cells, "_MANY", 1)
    await count(pool, answer(1, 1, 5))

    async def late(connection: Database, table: str, columns: Sequence[str], rows: Int64) -> None:
        if table == "incoming_cell":
            await pool.execute("DELETE FROM cell WHERE cell = (SELECT max(cell) FROM cell)")
        await write_rows(connection, table, columns, rows)

    with monkeypatch.context() as patched:
        patched.setattr(stored_cells, "write_rows", late)
        with pytest.raises(TryAgain):
            await count(pool, answer(2, 1, 5))
    assert await pool.fetchval("SELECT count(*) FROM answer") == 1
    await count(pool, answer(2, 1, 5))
    assert (await table(pool))["total", "", "all", None] == {"s5": 2, "opened": 2}


async def test_units_keep_their_numbers_when_the_memory_of_them_is_full(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(units_module, "_MOST_KNOWN_UNITS", 3)
    units = Units(pool, load_cuts(None))
    first = await units.of([answer(1, 1, 5, terminal="A")])
    await units.of([answer(1, 1, 5, terminal="B")])
    assert await units.of([answer(1, 1, 5, terminal="A"), answer(1, 1, 5, terminal="C")]) == [
        first[0],
        (await units.of([answer(1, 1, 5, terminal="C")]))[0],
    ]


async def test_two_counters_learn_the_same_units_at_once(pool: Pool) -> None:
    everywhere = [answer(1, 1, 5, terminal=f"T-{n}") for n in range(50)]
    one, other = await asyncio.gather(
        Units(pool, load_cuts(None)).of(everywhere), Units(pool, load_cuts(None)).of(everywhere[::-1])
    )
    assert one == other[::-1]
