"""Counted exactly once (guarantee 2): revisions in any order, number and batching give the same cells."""

import os
import random
import uuid
from pathlib import Path

import pytest

from services.aggregator.counting import stored_answers, stored_cells
from services.aggregator.counting.cuts import load_cuts
from services.aggregator.counting.deltas import COLUMNS
from services.aggregator.counting.reading import CountedAnswer, CountedDecision
from services.aggregator.counting.units import Units
from services.chassis.postgres import Pool
from tests.counting import answer, audit, clear, count, decision, history, pool, table

__all__ = ["pool"]

pytestmark = pytest.mark.service("aggregator")


@pytest.mark.parametrize("seed", range(6))
async def test_order_repetition_and_batching_do_not_change_a_single_cell(
    pool: Pool, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (stored_answers, stored_cells):
        monkeypatch.setattr(module, "_MANY", (1, 40, 2000)[seed % 3])
    counted = history(seed)
    await count(pool, *counted)
    expected = await table(pool)
    assert len(expected) > 20
    dice = random.Random(seed + 100)
    units = Units(pool, load_cuts(None))
    for _ in range(3):
        await clear(pool)
        rest = counted * 3
        dice.shuffle(rest)
        while rest:
            size = dice.randint(1, 40)
            await count(pool, *rest[:size], units=units)
            rest = rest[size:]
        assert await table(pool) == expected
        assert await audit(pool) == []


async def test_a_random_permutation_of_many_events_gives_identical_tables(pool: Pool) -> None:
    events = int(os.environ.get("PERMUTED_EVENTS", "2000"))
    counted = history(99, events)[:events]
    units = Units(pool, load_cuts(None))
    for first in range(0, len(counted), 500):
        await count(pool, *counted[first : first + 500], units=units)
    rows = "SELECT * FROM {} ORDER BY 1, 2"
    expected = await table(pool), await pool.fetch(rows.format("answer")), await pool.fetch(rows.format("decision"))
    await clear(pool)
    random.Random(7).shuffle(counted)
    for first in range(0, len(counted), 313):
        await count(pool, *counted[first : first + 313], units=units)
    found = await table(pool), await pool.fetch(rows.format("answer")), await pool.fetch(rows.format("decision"))
    assert found == expected
    assert await audit(pool) == []


async def test_counters_are_what_a_plain_sum_of_the_last_revisions_says(pool: Pool) -> None:
    counted = history(7)
    await count(pool, *counted)
    last: dict[uuid.UUID, CountedAnswer] = {}
    for c in counted:
        if isinstance(c, CountedAnswer) and c.revision >= last.get(c.response_id, c).revision:
            last[c.response_id] = c
    own = [a for a in last.values() if a.invited and not a.suspected_machine]
    scores = [sum(a.score == n and not a.contested for a in own) for n in (1, 2, 3, 4, 5)]
    total = (await table(pool))["total", "", "all", None]
    assert [total.get(f"s{n}", 0) for n in (1, 2, 3, 4, 5)] == scores
    assert total["delivered"] == 12
    assert total["opened"] == len(own)
    assert total["reached"] == sum(isinstance(c, CountedDecision) and c.kind == "reached" for c in counted)
    assert total["asked"] + total["failed"] == 12


async def test_the_audit_is_clean_when_nothing_was_tampered_with(pool: Pool) -> None:
    await count(pool, *history(1))
    await count(pool, *history(2))
    assert await audit(pool) == []


@pytest.mark.parametrize("column", COLUMNS)
async def test_the_audit_finds_a_counter_that_somebody_changed(pool: Pool, column: str) -> None:
    await count(pool, answer(1, 2, 5), decision(1, 1, "asked"))
    changed = await pool.fetchval(
        f"UPDATE cell SET {column} = {column} + 1 WHERE cell = (SELECT min(cell) FROM cell) RETURNING cell"
    )
    [difference] = await audit(pool)
    place = COLUMNS.index(column)
    assert difference.cell == changed
    assert difference.counted[place] == (difference.expected[place] or 0) + 1
    others = [i for i in range(14) if i != place]
    assert [difference.counted[i] for i in others] == [difference.expected[i] for i in others]


async def test_the_audit_finds_a_missing_and_a_surplus_cell(pool: Pool) -> None:
    await count(pool, answer(1, 1, 5))
    missing = await pool.fetchval("DELETE FROM cell WHERE cell = (SELECT max(cell) FROM cell) RETURNING cell")
    surplus = (1 << 32) | 12345
    await pool.execute("INSERT INTO cell SELECT $1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0", surplus)
    found = {d.cell: (d.counted[0], d.expected[4]) for d in await audit(pool)}
    assert found == {missing: (None, 1), surplus: (1, None)}


async def test_the_audit_finds_an_answer_that_vanished(pool: Pool) -> None:
    await count(pool, answer(1, 1, 5), answer(2, 1, 4))
    await pool.execute("DELETE FROM answer WHERE response_id = $1", uuid.UUID(int=1))
    assert {d.cut for d in await audit(pool)} == {
        "total",
        "country",
        "terminal",
        "method",
        "disrupted",
        "terminal.method",
    }


def test_the_tests_of_this_file_know_all_counters(repository: Path) -> None:
    sql = repository / "services/aggregator/sql"
    made = (sql / "001_aggregator.sql").read_text(encoding="utf-8") + (sql / "024_funnel.sql").read_text(
        encoding="utf-8"
    )
    assert all(f" {column} " in made for column in COLUMNS)
