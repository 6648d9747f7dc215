"""Counted exactly once (guarantee 2): what an answer and a decision change in the cells, and what they do not."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from services.aggregator.counting.cuts import cut_named, load_cuts
from services.aggregator.counting.units import Units
from services.aggregator.handlers import CountBatch
from services.chassis.failures import Poison
from services.chassis.metrics import Metrics
from services.chassis.postgres import Pool
from tests.builders import NOON
from tests.counting import answer, audit, clear, count, decision, opened, pool, reached, table

__all__ = ["pool"]

pytestmark = pytest.mark.service("aggregator")


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


async def test_a_process_that_starts_anew_takes_no_number_for_units_that_are_known(pool: Pool) -> None:
    for start in range(3):
        await count(pool, answer(start + 1, 1, 5), replace(answer(start + 11, 1, 5), suspected_machine=True))
    numbers = [r["id"] for r in await pool.fetch("SELECT id FROM unit")]
    await count(pool, answer(9, 1, 5, terminal="Umeå"))
    [new, *_] = [r["id"] for r in await pool.fetch("SELECT id FROM unit WHERE value = 'Umeå'")]
    assert max(numbers) == len(numbers)
    assert new == max(numbers) + 1


async def test_windows_of_units_are_known_in_two_bytes_for_each_number_up_to_the_highest(pool: Pool) -> None:
    await pool.execute("ALTER TABLE unit ALTER COLUMN id RESTART WITH 3000000")
    units = Units(pool, load_cuts(None))
    await count(pool, answer(1, 1, 5), units=units)
    highest = await pool.fetchval("SELECT max(id) FROM unit")
    async with pool.acquire() as connection:
        masks = await units.masks(connection, [highest])
    assert highest > 3_000_000
    assert masks[highest] > 0
    assert masks.nbytes <= 2 * highest
    assert await audit(pool) == []
