"""Counted exactly once (guarantee 2): the same revisions in any order, number and batching give the same cells."""

import asyncio
import os
import random
import uuid
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from services.aggregator.cells.rows import Cells, Difference
from services.aggregator.counting import stored_answers, stored_cells
from services.aggregator.counting import units as units_module
from services.aggregator.counting.cuts import cut_named, load_cuts, read_cuts
from services.aggregator.counting.deltas import COLUMNS
from services.aggregator.counting.reading import Counted, CountedAnswer, CountedDecision, Facts
from services.aggregator.counting.stored_cuts import StoredCuts
from services.aggregator.counting.units import Units
from services.aggregator.counting.windows import Int64, unpack, window_start
from services.aggregator.handlers import CountBatch
from services.chassis.bigint_copy import write_rows
from services.chassis.failures import Poison, TryAgain
from services.chassis.metrics import Metrics
from services.chassis.postgres import Database, Pool
from tests.builders import NOON

pytestmark = pytest.mark.service("aggregator")

Table = dict[tuple[str, str, str, str | None], dict[str, int]]


@pytest.fixture
async def pool(pool: Pool) -> Pool:
    async with pool.acquire() as connection:
        await StoredCuts().agree(connection, read_cuts(None))
    return pool


def facts(number: int = 1, **changed: object) -> Facts:
    plain: dict[str, object] = {
        "carrier": "Nordposten Demo",
        "country": "SE",
        "method": "home_day",
        "occurred_at": NOON,
        "zone": "Europe/Stockholm",
        "delivery_id": f"D-{number}",
        "terminal": "Årsta",
    }
    return Facts(**(plain | changed))  # type: ignore[arg-type]


def answer(
    number: int, revision: int, score: int | None, *, contested: bool = False, **changed: object
) -> CountedAnswer:
    return CountedAnswer(
        uuid.UUID(int=number), revision, NOON, facts(number, **changed), score, revision > 1, contested
    )


def decision(number: int, revision: int, outcome: str, **changed: object) -> CountedDecision:
    return CountedDecision("ask", revision, outcome, facts(number, **changed))


def reached(number: int, **changed: object) -> CountedDecision:
    return CountedDecision("reached", 1, "reached", facts(number, **changed))


def opened(number: int, **changed: object) -> CountedAnswer:
    return CountedAnswer(uuid.UUID(int=number), 0, NOON, facts(number, **changed))


async def count(pool: Pool, *counted: Counted, units: Units | None = None) -> None:
    batch = CountBatch(units or Units(pool, load_cuts(None)), Metrics(), lambda _, __: None)
    async with pool.acquire() as connection, connection.transaction():
        await batch(connection, list(counted))


async def table(pool: Pool) -> Table:
    """All cells that are not zero, by cut, value and window."""
    rows = await pool.fetch(
        "SELECT u.cut, u.value, c.* FROM cell AS c JOIN unit AS u ON u.id = (c.cell >> 32)::int ORDER BY c.cell"
    )
    found = {}
    for row in rows:
        _, window, index = unpack(row["cell"])
        counters = {name: row[name] for name in COLUMNS if row[name]}
        if counters:
            found[row["cut"], row["value"], window.value, window_start(window, index)] = counters
    return found


async def audit(pool: Pool) -> list[Difference]:
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        return await Cells().audit(connection)


async def clear(pool: Pool) -> None:
    await pool.execute("TRUNCATE cell, answer, decision, touched")


async def test_one_answer_counts_in_every_cut_and_window_it_belongs_to(pool: Pool) -> None:
    await count(pool, answer(1, 1, 5), decision(1, 2, "asked"))
    found = await table(pool)
    expected = {"s5": 1, "delivered": 1, "asked": 1, "opened": 1}
    windows = [
        ("hour", "2026-10-13T14:00"),
        ("day", "2026-10-13"),
        ("week", "2026-10-12"),
        ("month", "2026-10"),
        ("all", None),
    ]
    cuts = [
        ("total", ""),
        ("country", "SE"),
        ("terminal", "Årsta"),
        ("method", "home_day"),
        ("terminal.method", "Årsta × home_day"),
        ("disrupted", "false"),
    ]
    minute = {("total", "", "minute", "2026-10-13T14:00"): expected}
    assert found == {(cut, value, *window): expected for cut, value in cuts for window in windows} | minute


async def test_a_higher_revision_moves_the_answer_and_an_older_or_equal_one_does_nothing(pool: Pool) -> None:
    total = ("total", "", "all", None)
    await count(pool, answer(1, 2, 2))
    assert (await table(pool))[total] == {"s2": 1, "commented": 1, "opened": 1}
    await count(pool, answer(1, 1, 5))
    await count(pool, answer(1, 2, 4))
    assert (await table(pool))[total] == {"s2": 1, "commented": 1, "opened": 1}
    await count(pool, answer(1, 3, 4))
    assert (await table(pool))[total] == {"s4": 1, "commented": 1, "opened": 1}
    await count(pool, answer(1, 4, 4, contested=True))
    assert (await table(pool))[total] == {"commented": 1, "contested": 1, "opened": 1}


@pytest.mark.parametrize(
    ("series", "apart"),
    [
        ("other_party", {"rated": "shop"}),
        ("other_party", {"rated": "service_point", "invited": False}),
        ("uninvited", {"invited": False}),
        ("machine", {"suspected_machine": True, "rated": "shop", "invited": False}),
    ],
)
async def test_what_is_not_an_invited_persons_word_about_the_carrier_is_counted_in_a_series_of_its_own(
    pool: Pool, series: str, apart: dict[str, Any]
) -> None:
    total, own = ("total", "", "all", None), ("series", series, "all", None)
    await count(pool, answer(1, 1, 2), answer(2, 1, 5))
    await count(pool, replace(answer(1, 2, 2), **apart), replace(answer(3, 1, 4), **apart))
    assert (await table(pool))[total] == {"s5": 1, "opened": 1}
    assert (await table(pool))[own] == {"s2": 1, "s4": 1, "commented": 1}
    assert await audit(pool) == []
    await count(pool, answer(1, 3, 2))
    assert (await table(pool))[total] == {"s2": 1, "s5": 1, "commented": 1, "opened": 2}
    assert (await table(pool))[own] == {"s4": 1}
    assert await audit(pool) == []


async def test_an_answer_moves_from_one_series_to_another_at_the_place_of_its_first_revision(pool: Pool) -> None:
    cuts = (*load_cuts(None), cut_named("terminal.series"))
    units = Units(pool, cuts)
    await pool.execute("DELETE FROM counting")  # so that the cuts are those above
    await count(pool, replace(answer(1, 1, 2), suspected_machine=True), units=units)
    await count(pool, replace(answer(1, 2, 3, terminal="Toftanäs"), rated="shop"), units=units)
    found = {key: counters for key, counters in (await table(pool)).items() if key[0].endswith("series")}
    assert {key[:2] for key in found} == {("series", "other_party"), ("terminal.series", "Årsta × other_party")}
    assert {tuple(counters.items()) for counters in found.values()} == {(("s3", 1), ("commented", 1))}
    assert await audit(pool) == []


async def test_a_page_counts_as_opened_once_whether_it_is_answered_before_or_after(pool: Pool) -> None:
    total = ("total", "", "all", None)
    await count(pool, opened(1), opened(2))
    assert (await table(pool))[total] == {"opened": 2}
    await count(pool, answer(1, 1, 5), answer(3, 1, 4))
    await count(pool, opened(1), opened(3))
    assert (await table(pool))[total] == {"s5": 1, "s4": 1, "opened": 3}
    await count(pool, opened(4), answer(4, 2, 1), opened(4))
    assert (await table(pool))[total] == {"s5": 1, "s4": 1, "s1": 1, "commented": 1, "opened": 4}
    assert await audit(pool) == []


async def test_an_opened_page_moves_to_the_place_of_its_answer(pool: Pool) -> None:
    await count(pool, opened(1, terminal="Toftanäs", occurred_at=NOON + timedelta(hours=1)))
    await count(pool, answer(1, 1, 5))
    found = await table(pool)
    await clear(pool)
    await count(pool, answer(1, 1, 5), opened(1, terminal="Toftanäs", occurred_at=NOON + timedelta(hours=1)))
    assert await table(pool) == found
    assert found["terminal", "Årsta", "hour", "2026-10-13T14:00"] == {"s5": 1, "opened": 1}
    assert ("terminal", "Toftanäs", "all", None) not in found


async def test_a_message_that_arrived_counts_once_for_a_delivery(pool: Pool) -> None:
    total = ("total", "", "all", None)
    await count(pool, decision(1, 1, "asked"), reached(1), reached(1))
    await count(pool, reached(1), reached(2))
    assert (await table(pool))[total] == {"delivered": 1, "asked": 1, "reached": 2}
    assert await audit(pool) == []


async def test_a_delivery_is_counted_once_and_moves_between_outcomes(pool: Pool) -> None:
    total = ("total", "", "all", None)
    await count(pool, decision(1, 1, "pending"), decision(2, 1, "suppressed"))
    await count(pool, decision(1, 3, "asked"), decision(1, 2, "pending"), decision(2, 1, "suppressed"))
    await count(pool, decision(1, 2, "pending"))
    assert (await table(pool))[total] == {"delivered": 2, "asked": 1, "suppressed": 1}


async def test_a_cut_by_what_the_delivery_lacks_is_left_out(pool: Pool) -> None:
    await count(pool, answer(1, 1, 5, terminal=None))
    assert {cut for cut, _, _, _ in await table(pool)} == {"total", "country", "method", "disrupted"}


def history(seed: int, deliveries: int = 12) -> list[Counted]:
    """Revisions of some answers and decisions, over a change of month and the long night in October."""
    dice = random.Random(seed)
    counted: list[Counted] = []
    for number in range(1, deliveries + 1):
        about = {
            "occurred_at": NOON + timedelta(hours=dice.choice([0, 1, 276, 277, 278, 444])),
            "terminal": dice.choice(["Årsta", "Toftanäs", None]),
            "merchant_id": dice.choice(["fjallbod", None]),
            "zone": dice.choice(["Europe/Stockholm", "Asia/Kathmandu"]),
        }
        counted.append(decision(number, 1, "pending", **about))
        counted.append(decision(number, 2, dice.choice(["asked", "failed"]), **about))
        for revision in range(1, dice.randint(1, 4)):
            score = dice.choice([None, 1, 2, 3, 4, 5])
            said = answer(number, revision, score, contested=dice.random() < 0.2, **about)
            counted.append(replace(said, suspected_machine=dice.random() < 0.1, invited=dice.random() > 0.1))
        if dice.random() < 0.3:
            counted.append(opened(number, **(about | {"terminal": "Luleå"})))
        if dice.random() < 0.5:
            counted.append(reached(number, **about))
    return counted


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


async def test_a_batch_that_is_rolled_back_counts_nothing(pool: Pool) -> None:
    batch = CountBatch(Units(pool, load_cuts(None)), Metrics(), lambda _, __: None)
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await batch(connection, [answer(1, 1, 5)])
        await transaction.rollback()
    assert await table(pool) == {}
    await count(pool, answer(1, 1, 5))
    assert (await table(pool))["total", "", "all", None] == {"s5": 1, "opened": 1}


async def test_versions_of_a_cell_only_grow(pool: Pool) -> None:
    versions = []
    for revision, score in enumerate([1, 2, 3, 3, 5], 1):
        await count(pool, answer(1, revision, score))
        versions.append(await pool.fetchval("SELECT max(version) FROM cell WHERE s1 + s2 + s3 + s4 + s5 > 0"))
    assert versions == [1, 2, 3, 3, 4]


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


@pytest.mark.parametrize(
    "changed",
    [{"terminal": "A\nB"}, {"terminal": "A\x00"}, {"zone": "Europe/Stokholm"}, {"zone": "Europe"}, {"zone": "../etc"}],
)
async def test_facts_that_cannot_be_counted_are_poison_and_never_tried_for_ever(
    pool: Pool, changed: dict[str, Any]
) -> None:
    with pytest.raises(Poison):
        await count(pool, answer(1, 1, 5, **changed))
    assert await table(pool) == {}


async def test_every_touched_cell_is_noted_for_the_publisher(pool: Pool) -> None:
    await count(pool, answer(1, 1, 5))
    touched = await pool.fetch("SELECT cells FROM touched")
    cells = await pool.fetch("SELECT cell FROM cell ORDER BY cell")
    assert [r["cells"] for r in touched] == [[r["cell"] for r in cells]]
    await count(pool, answer(1, 1, 5))
    assert await pool.fetchval("SELECT count(*) FROM touched") == 1


def test_the_tests_of_this_file_know_all_counters(repository: Path) -> None:
    sql = repository / "services/aggregator/sql"
    made = (sql / "001_aggregator.sql").read_text(encoding="utf-8") + (sql / "024_funnel.sql").read_text(
        encoding="utf-8"
    )
    assert all(f" {column} " in made for column in COLUMNS)
