"""The cuts that were counted stand in the database; a start with others is refused, and batches follow a change."""

import dataclasses
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from schemas.satisfaction import Window
from services.aggregator import app as aggregator
from services.aggregator.counting.cuts import STANDARD, CutsFile, cut_named, read_cuts
from services.aggregator.counting.hand_overs import Leg
from services.aggregator.counting.minute_cells import MinuteCells
from services.aggregator.counting.stored_cuts import StoredCuts
from services.aggregator.counting.units import Units
from services.aggregator.counting.zone_data import zone_data
from services.chassis.failures import MustStop
from services.chassis.known_server import KnownServer
from services.chassis.postgres import Database, Pool
from services.chassis.settings import Settings
from tests.builders import NOON
from tests.counting import answer, audit, count, decision, table

pytestmark = pytest.mark.service("aggregator")


async def agree(pool: Pool, *names: str, version: int = 0) -> None:
    async with pool.acquire() as connection:
        await StoredCuts().agree(connection, CutsFile(version, [cut_named(n) for n in names]))


async def test_the_first_start_stores_the_cuts_and_a_later_one_with_others_is_refused_with_what_to_do(
    pool: Pool,
) -> None:
    await agree(pool, "total", "terminal", "route")
    await agree(pool, "route", "terminal", "total")
    with pytest.raises(MustStop, match=r"new: method; gone: route. Write `version = 1`.*kvittera cuts build"):
        await agree(pool, "total", "terminal", "method")
    by_minute = [cut_named("total", (Window.MINUTE, *STANDARD)), cut_named("terminal"), cut_named("route")]
    async with pool.acquire() as connection:
        with pytest.raises(MustStop, match="in other windows: total"):
            await StoredCuts().agree(connection, CutsFile(0, by_minute))


async def test_a_service_with_an_older_file_is_refused_once_a_newer_one_was_counted(pool: Pool) -> None:
    await agree(pool, "total", "terminal")
    await agree(pool, "total", "terminal", version=2)
    await agree(pool, "total", "terminal", version=2)
    with pytest.raises(MustStop, match="version 0, and version 2 is counted"):
        await agree(pool, "total", "terminal")
    with pytest.raises(MustStop, match=r"\(version 2\) are not those .* Write `version = 3` at the head"):
        await agree(pool, "total", "method", version=2)


async def test_starts_note_the_time_zone_data_once_and_the_version_of_the_file_of_cuts(
    pool: Pool, settings: Settings
) -> None:
    for _ in range(2):
        (await aggregator._pool(settings, read_cuts(None), KnownServer())).terminate()
    told = await pool.fetch("SELECT version, (SELECT file_version FROM counting) FROM zone_data")
    assert [tuple(row) for row in told] == [(zone_data(), 2)]


async def test_a_start_on_tables_of_the_version_before_counts_on_by_its_cuts_and_both_versions_may_start(
    pool: Pool, settings: Settings
) -> None:
    built_in = read_cuts(None)
    [before] = built_in.earlier
    async with pool.acquire() as connection:
        await StoredCuts().agree(connection, before)
    (await aggregator._pool(settings, built_in, KnownServer())).terminate()
    late = replace(answer(1, 1, 5), answered_at=NOON + timedelta(days=9))
    await count(pool, late, units=Units(pool, built_in.cuts))
    assert {cut for cut, *_ in await table(pool)} <= {c.name for c in before.cuts}
    async with pool.acquire() as connection:
        assert await StoredCuts().agree(connection, before) is before  # the way back
        assert (await StoredCuts().files(connection)).counted == 1
    assert await audit(pool) == []


async def test_a_batch_counts_by_the_cuts_that_are_stored_not_by_those_it_began_with(pool: Pool) -> None:
    await agree(pool, "total", "terminal")
    units = Units(pool, [cut_named("total")])
    await count(pool, answer(1, 1, 5), units=units)
    assert {cut for cut, *_ in await table(pool)} == {"total", "terminal"}
    await pool.execute("INSERT INTO counted_cut (cut, windows, state) VALUES ('method', 31, 'counted')")
    await pool.execute("UPDATE counting SET version = version + 1")
    await count(pool, answer(2, 1, 5), units=units)
    found = await table(pool)
    assert found["method", "home_day", "all", None] == {"s5": 1, "opened": 1}
    assert found["terminal", "Årsta", "all", None] == {"s5": 2, "opened": 2}
    assert await audit(pool) == []


def at(hour: int) -> Callable[[Database], Awaitable[datetime]]:
    async def moment(_: Database) -> datetime:
        return datetime(2026, 10, 13, hour, 0, tzinfo=UTC)

    return moment


async def test_minute_cells_older_than_their_time_go_for_good_and_the_audit_stays_clean(pool: Pool) -> None:
    async with pool.acquire() as connection:
        await StoredCuts().agree(connection, read_cuts(None))
    await count(pool, answer(1, 1, 5), answer(2, 1, 4, occurred_at=NOON + timedelta(hours=3)), decision(1, 1, "asked"))
    keeper = MinuteCells(pool, 1, at(16))
    assert await keeper.drop() == 1  # 14:00 on the wall is before 15:00; 17:00 is not
    assert await keeper.drop() == 0
    minutes = {start: counters for (_, _, window, start), counters in (await table(pool)).items() if window == "minute"}
    assert minutes == {"2026-10-13T17:00": {"s4": 1, "opened": 1}}
    await count(pool, answer(1, 2, 1))
    assert {start for (_, _, window, start) in await table(pool) if window == "minute"} == {"2026-10-13T17:00"}
    assert await audit(pool) == []


async def test_a_clock_that_goes_back_brings_no_old_minutes_back(pool: Pool) -> None:
    async with pool.acquire() as connection:
        await StoredCuts().agree(connection, read_cuts(None))
    await count(pool, answer(1, 1, 5))
    assert await MinuteCells(pool, 1, at(16)).drop() == 1
    assert await MinuteCells(pool, 1, at(13)).drop() == 0
    await count(pool, answer(2, 1, 4))
    assert "minute" not in {window for _, _, window, _ in await table(pool)}
    assert await audit(pool) == []


async def test_what_was_counted_before_minutes_were_kept_is_in_no_minute(pool: Pool) -> None:
    async with pool.acquire() as connection:
        await StoredCuts().agree(connection, read_cuts(None))
    await count(pool, answer(1, 1, 5))
    await pool.execute("UPDATE answer SET minute = NULL")
    await pool.execute("DELETE FROM cell WHERE cell & 4294967295 >= 3758096384")
    await count(pool, answer(1, 2, 1))
    assert "minute" not in {window for _, _, window, _ in await table(pool)}
    assert await audit(pool) == []


@pytest.mark.parametrize("name", ["channel", "language", "disruption", "disrupted"])
async def test_cuts_by_what_stands_beside_the_delivery_are_counted(pool: Pool, name: str) -> None:
    units = Units(pool, [cut_named(name), cut_named(f"terminal.{name}")])
    told = {"channel": "web", "language": "fi", "disruption": "snow-1", "disrupted": "true"}[name]
    await count(pool, replace(answer(1, 1, 5, disruption="snow-1"), channel="web", language="fi"), units=units)
    found = {(cut, value) for cut, value, *_ in await table(pool)}
    assert found == {(name, told), (f"terminal.{name}", f"Årsta × {told}")}


async def test_suppressions_are_counted_by_reason_where_a_cut_asks_for_it(pool: Pool) -> None:
    units = Units(pool, [cut_named("total"), cut_named("terminal.reason")])
    quiet = dataclasses.replace(decision(1, 1, "suppressed"), reason="opted_out")
    await count(pool, quiet, decision(2, 1, "pending"), answer(2, 1, 5), units=units)
    found = {(cut, value): c for (cut, value, window, _), c in (await table(pool)).items() if window == "all"}
    assert found == {
        ("total", ""): {"delivered": 2, "suppressed": 1, "pending": 1, "s5": 1, "opened": 1},
        ("terminal.reason", "Årsta × opted_out"): {"delivered": 1, "suppressed": 1},
    }


async def test_revisions_in_one_batch_count_where_the_first_of_them_counts(pool: Pool) -> None:
    await count(pool, answer(1, 1, 5, terminal="Årsta"), answer(1, 2, 4, terminal="Umeå"))
    assert {value for cut, value, *_ in await table(pool) if cut == "terminal"} == {"Årsta"}
    await count(pool, decision(1, 1, "pending", terminal="Årsta"), decision(1, 2, "asked", terminal="Umeå"))
    found = await table(pool)
    assert found["terminal", "Årsta", "all", None] == {"s4": 1, "commented": 1, "delivered": 1, "asked": 1, "opened": 1}


@pytest.mark.parametrize(
    ("changed", "charged"),
    [
        ({}, True),
        ({"attempt": 2}, False),
        ({"exceptions": ("damaged",)}, False),
        ({"exceptions": ("opened", "customs_hold")}, False),
        ({"exceptions": ("partial",)}, False),
        ({"exceptions": ("damaged",), "hand_overs": (Leg("terminal"), Leg("driver", "driver-1"))}, True),
        ({"exceptions": ("damaged",), "hand_overs": (Leg("terminal"), Leg("driver", "driver-1", ("damaged",)))}, False),
    ],
)
@pytest.mark.parametrize("score", [1, 5])
async def test_a_driver_is_not_charged_with_what_others_may_have_done_whatever_the_score(
    pool: Pool, changed: dict[str, Any], charged: bool, score: int
) -> None:
    units = Units(pool, [cut_named("total"), cut_named("driver"), cut_named("route"), cut_named("route.driver")])
    about = {"driver": "driver-1", "route": "R1", **changed}
    # A later revision or another driver on the day of the answer changes nothing: the delivery event decides (C5).
    await count(pool, answer(1, 1, score, **about), decision(1, 1, "asked", **about), units=units)
    await count(pool, answer(1, 2, score, **(about | {"driver": "driver-2", "route": "R2"})), units=units)
    found = {(cut, value) for cut, value, *_ in await table(pool)}
    of_driver = {("driver", "driver-1"), ("route.driver", "R1 × driver-1")} if charged else set()
    assert found == {("total", ""), ("route", "R1")} | of_driver
    assert await audit(pool) == []
