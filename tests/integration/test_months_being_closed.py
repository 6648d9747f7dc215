"""A month is closed while others count and close: it is of one moment, and tells what moved since."""

import asyncio
import uuid
from datetime import UTC, datetime

import pytest

from schemas.topics import DELIVERY_DISRUPTION, RESPONSE_RECORDED
from services.aggregator.counting.cuts import load_cuts
from services.aggregator.counting.reading import CountedAnswer, Facts
from services.aggregator.counting.units import Units
from services.aggregator.figures.months import Months
from services.aggregator.handlers import CountBatch
from services.chassis.failures import MustStop
from services.chassis.metrics import Metrics
from services.chassis.postgres import Pool
from tests.harness import begin, until
from tests.terminal_answers import NOW, OCTOBER, count

pytestmark = pytest.mark.service("aggregator")


async def test_of_two_that_close_a_month_at_once_the_second_hears_that_it_is_closed(pool: Pool) -> None:
    later = datetime(2026, 11, 2, tzinfo=UTC)
    await count(pool, "Luleå", NOW, 7, 1)
    async with pool.acquire() as first, pool.acquire() as second:
        async with first.transaction(isolation="repeatable_read"):
            await Months(0).close(first, OCTOBER, later)
            closing = asyncio.create_task(Months(0).close(second, OCTOBER, later))
            await asyncio.sleep(0.2)
            assert not closing.done()
        with pytest.raises(MustStop, match="2026-10 is closed: revise it"):
            await closing


async def test_a_revision_is_of_one_moment_and_tells_how_far_the_topics_were_counted_then(pool: Pool) -> None:
    case = "INSERT INTO complaint VALUES ($1, 1, $2, NULL, NULL, false, 'Luleå', true)"
    counted = await begin(pool, RESPONSE_RECORDED, partition=3, at=5)
    await begin(pool, DELIVERY_DISRUPTION, at=7)  # says nothing of a month
    await pool.execute("INSERT INTO counted_cut (cut, windows, state) VALUES ('total', 31, 'counted')")
    await ease(pool, 4)
    await pool.execute(case, "a", OCTOBER)
    async with pool.acquire() as closer, pool.acquire() as other:
        async with other.transaction():
            await other.execute("LOCK TABLE closed_complaint IN ACCESS EXCLUSIVE MODE")
            closing = asyncio.create_task(Months(0).close(closer, OCTOBER, datetime(2026, 11, 2, tzinfo=UTC)))

            async def waits_between_cells_and_complaints() -> bool:
                waiting = "SELECT count(*) FROM pg_locks WHERE relation = 'closed_complaint'::regclass AND NOT granted"
                return bool(await pool.fetchval(waiting))

            await until(waits_between_cells_and_complaints)
            await ease(pool, 4)
            await pool.execute(case, "b", OCTOBER)
            await pool.execute("UPDATE progress SET next = next + 4")
        await closing
    [cell] = await pool.fetch("SELECT s5 FROM closed_cell WHERE cut = 'total'")
    [ease_of_total] = await pool.fetch("SELECT answers FROM closed_question WHERE cut = 'total'")
    [complaints] = await pool.fetch("SELECT complaints FROM closed_complaint")
    [position] = await pool.fetch("SELECT topic, part, next FROM closed_position")
    assert (cell["s5"], ease_of_total["answers"], complaints["complaints"]) == (1, 1, 1)
    assert tuple(position) == (RESPONSE_RECORDED, counted.partition, 5)
    assert await pool.fetchval("SELECT next FROM progress WHERE topic = $1", RESPONSE_RECORDED) == 9


async def test_a_cut_that_is_still_being_built_is_not_closed_and_has_not_moved(pool: Pool) -> None:
    state = "INSERT INTO counted_cut (cut, windows, state) VALUES ($1, 31, $2)"
    for cut, of_it in (("total", "counted"), ("terminal", "building"), ("method", "built"), ("country", "leaving")):
        await pool.execute(state, cut, of_it)
    await ease(pool, 4)
    async with pool.acquire() as connection:
        await Months(0).close(connection, OCTOBER, datetime(2026, 11, 2, tzinfo=UTC))
        assert [m["moved"] for m in await Months(0).listed(connection)] == [0]
    shown = {"total", "country"}
    for table in ("cell", "question", "cut"):
        cuts = {r["cut"] for r in await pool.fetch(f"SELECT cut FROM closed_{table}")}
        assert (table, cuts & {"total", "terminal", "method", "country"}) == (table, shown)


async def ease(pool: Pool, value: int) -> None:
    """Count one answer to a further question."""
    batch = CountBatch(Units(pool, load_cuts(None)), Metrics(), lambda _, __: None)
    facts = Facts("Nordposten Demo", "SE", "home_day", NOW, "Europe/Stockholm", "D-1", terminal="Luleå")
    async with pool.acquire() as connection, connection.transaction():
        await batch(connection, [CountedAnswer(uuid.uuid4(), 1, NOW, facts, 5, follow_ups={"ease": value})])


@pytest.mark.parametrize("counter", ["s4", "delivered", "contested", "reached", "opened"])
async def test_a_closed_month_tells_that_a_counter_moved_since(pool: Pool, counter: str) -> None:
    await count(pool, "Luleå", NOW, 7, 1)
    async with pool.acquire() as connection:
        await Months(0).close(connection, OCTOBER, datetime(2026, 11, 2, tzinfo=UTC))
        assert [m["moved"] for m in await Months(0).listed(connection)] == [0]
        await connection.execute(f"UPDATE cell SET {counter} = {counter} + 1")
        cells = await connection.fetchval("SELECT count(*) FROM closed_cell")
        assert cells > 0
        assert [m["moved"] for m in await Months(0).listed(connection)] == [cells]
