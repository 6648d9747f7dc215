"""What is counted changes without a stop: built from the topics beside the running cuts, then switched on."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest
from msgspec.structs import replace
from typer.testing import CliRunner, Result

from schemas.satisfaction import Window
from services.aggregator.cells.rows import Cells
from services.aggregator.counting.cuts import STANDARD, CutsFile, cut_named, read_cuts
from services.aggregator.counting.stored_cuts import StoredCuts
from services.aggregator.counting.units import Units
from services.aggregator.figures.months import Months
from services.aggregator.history.cut_changes import Built, CutChanges
from services.chassis.failures import MustStop
from services.chassis.postgres import Pool, connect
from services.chassis.settings import Settings
from services.cli import app
from tests.counted_topics import count_live, records, send
from tests.counting import answer, audit, count, table
from tests.integration.test_replay_shadow import pool
from tests.partner_views import register, view
from tests.terminal_answers import OCTOBER

__all__ = ["pool"]
OLD = CutsFile(1, (cut_named("total"), cut_named("terminal")))
NEW = CutsFile(2, (*OLD.cuts, cut_named("method"), cut_named("terminal.touchpoint")))

_HOURS_OF_DRIVERS = """
    SELECT cell FROM cell JOIN unit ON id = (cell >> 32)::int WHERE cut = 'driver' AND cell & 4294967295 < 1073741824
"""


@pytest.fixture
async def changes(settings: Settings, pool: Pool) -> AsyncIterator[CutChanges]:
    connection = await connect(settings, "aggregator")
    await StoredCuts().agree(connection, OLD)
    yield CutChanges(settings, pool, connection)
    await connection.close()


async def build(changes: CutChanges, wanted: CutsFile) -> Built:
    built = await changes.build(await changes.plan(wanted))
    if built.equal:
        await changes.accept(built)
    return built


async def agreed(pool: Pool, wanted: CutsFile) -> None:
    async with pool.acquire() as connection:
        await StoredCuts().agree(connection, wanted)


async def shown(pool: Pool, cut: str) -> dict[tuple[str, str | None], list[int]]:
    """What readers see of a cut: for each window and start the sums over its values."""
    async with pool.acquire() as connection:
        rows = [r for window in Window for r in await Cells().of_cut(connection, cut, window)]
    sums: dict[tuple[str, str | None], list[int]] = {}
    for r in rows:
        counters = [*r["scores"], r["delivered"], r["asked"], r["commented"]]
        so_far = sums.setdefault((r["window"], r["start"]), [0] * len(counters))
        sums[r["window"], r["start"]] = [a + b for a, b in zip(so_far, counters, strict=True)]
    return sums


async def keep_counting(settings: Settings, pool: Pool) -> None:
    """Count while others change what is counted; a reader tries again what a deadlock broke off."""
    while True:
        with contextlib.suppress(asyncpg.DeadlockDetectedError):
            await count_live(settings, pool)
            return


async def test_a_new_cut_holds_all_that_was_counted_before_during_and_after_its_build(
    settings: Settings, pool: Pool, changes: CutChanges
) -> None:
    await send(settings, records(11, 30))
    await count_live(settings, pool)
    new = await changes.plan(NEW)
    assert [c.name for c in new] == ["method", "terminal.touchpoint"]
    await send(settings, records(12, 20))
    await count_live(settings, pool)  # counts by the new cuts already
    await send(settings, records(14, 20))
    async with asyncio.TaskGroup() as both:
        both.create_task(keep_counting(settings, pool))
        built = await changes.build(new)
    assert built.equal
    assert built.placed > 50
    assert await shown(pool, "method") == {}
    with pytest.raises(MustStop, match=r"method, terminal.touchpoint: not built yet"):
        await changes.switch()
    await changes.accept(built)
    await send(settings, records(13, 10))
    async with asyncio.TaskGroup() as both:
        both.create_task(keep_counting(settings, pool))
        switched = await changes.switch()
    assert switched == [
        "method: counted by hour, day, week, month, all",
        "terminal.touchpoint: counted by hour, day, week, month, all",
    ]
    # Every delivery has a method, so its values add up to the whole, also with other tests' records on the topics.
    assert await shown(pool, "method") == await shown(pool, "total")
    assert len(await shown(pool, "method")) > 40
    assert await audit(pool) == []
    await agreed(pool, NEW)
    with pytest.raises(MustStop, match=r"gone: method, terminal.touchpoint"):
        await agreed(pool, OLD)


async def test_a_build_that_was_broken_off_is_begun_again_and_counts_nothing_twice(
    settings: Settings, pool: Pool, changes: CutChanges
) -> None:
    await send(settings, records(21, 30))
    await count_live(settings, pool)
    first = await changes.build(await changes.plan(NEW))
    again = await changes.build(await changes.plan(NEW))
    assert (first.equal, again.equal, again.placed) == (True, True, 0)
    assert await audit(pool) == []


async def test_a_cut_is_built_and_switched_on_before_anything_was_counted(pool: Pool, changes: CutChanges) -> None:
    built = await build(changes, NEW)
    assert (built.placed, built.equal) == (0, True)
    assert len(await changes.switch()) == 2
    await agreed(pool, NEW)


async def test_a_build_of_a_longer_file_before_the_switch_gives_the_newest_cut_its_history_too(
    settings: Settings, pool: Pool, changes: CutChanges
) -> None:
    await send(settings, records(81, 30))
    await count_live(settings, pool)
    shorter = CutsFile(2, (*OLD.cuts, cut_named("method")))
    assert (await build(changes, shorter)).equal
    await changes.plan(CutsFile(3, (*shorter.cuts, cut_named("carrier"))))
    longest = CutsFile(4, (*shorter.cuts, cut_named("carrier"), cut_named("disrupted")))
    built = await build(changes, longest)
    assert (sorted(built.cuts), built.equal) == (["carrier", "disrupted", "method"], True)
    assert built.placed > 30
    await changes.switch()
    # Every delivery has all three.
    total = await shown(pool, "total")
    assert [await shown(pool, cut) == total for cut in ("method", "carrier", "disrupted")] == [True] * 3
    assert await audit(pool) == []


async def test_answers_are_missing_from_the_newest_of_two_cuts_although_the_older_one_holds_them(
    settings: Settings, pool: Pool, changes: CutChanges
) -> None:
    await send(settings, records(91, 5))
    await count_live(settings, pool)
    await changes.plan(CutsFile(2, (*OLD.cuts, cut_named("method"))))
    await count(pool, answer(1, 1, 5), answer(2, 1, 4), units=Units(pool, ()))  # not on the topics
    built = await build(changes, CutsFile(3, (*OLD.cuts, cut_named("method"), cut_named("carrier"))))
    assert (built.equal, built.missing, built.differing) == (False, 2, 0)


async def test_neither_a_partners_own_cut_nor_that_by_merchant_is_dropped_while_it_reads(
    pool: Pool, changes: CutChanges
) -> None:
    by_shop = CutsFile(2, (*OLD.cuts, cut_named("merchant"), cut_named("merchant.method")))
    planned = await changes.plan(by_shop)
    await changes.accept(Built([c.name for c in planned], 0, 0, 0))
    await changes.switch()
    await register(pool, view())
    own = CutsFile(3, by_shop.cuts[:3])
    with pytest.raises(MustStop, match="fjallbod: these partners read a cut that would go"):
        await changes.plan(own)
    without_merchant = CutsFile(3, (*OLD.cuts, by_shop.cuts[3]))
    with pytest.raises(MustStop, match="fjallbod: these partners read a cut that would go"):
        await changes.plan(without_merchant)
    await pool.execute("UPDATE partner SET revoked_at = now()")
    await changes.plan(without_merchant)
    assert await changes.switch() == ["merchant: gone"]


async def test_a_cut_that_leaves_is_counted_until_the_switch_and_may_come_back(
    settings: Settings, pool: Pool, changes: CutChanges
) -> None:
    await send(settings, records(31, 20))
    await count_live(settings, pool)
    before = await shown(pool, "terminal")
    total_alone = CutsFile(2, OLD.cuts[:1])
    await build(changes, total_alone)
    assert await shown(pool, "terminal") == before
    await agreed(pool, OLD)
    await agreed(pool, total_alone)
    await pool.execute("TRUNCATE touched")
    cells = {r["cell"] for r in await pool.fetch("SELECT cell FROM cell")}
    assert await changes.switch() == ["terminal: gone"]
    assert await shown(pool, "terminal") == {}
    gone = cells - {r["cell"] for r in await pool.fetch("SELECT cell FROM cell")}
    assert {c for r in await pool.fetch("SELECT cells FROM touched") for c in r["cells"]} == gone
    assert await audit(pool) == []
    with pytest.raises(MustStop, match=r"is version 1, and version 2 is known. Write `version = 3`"):
        await build(changes, OLD)
    assert (await build(changes, CutsFile(3, OLD.cuts))).equal
    await changes.switch()
    assert await shown(pool, "terminal") == before
    assert await audit(pool) == []


async def test_a_switch_of_cuts_moves_nothing_in_a_closed_month_and_a_late_answer_still_does(
    settings: Settings, pool: Pool, changes: CutChanges
) -> None:
    async def moved() -> int:
        [month] = await Months(0).listed(changes.connection)
        return int(month["moved"])

    later = datetime(2026, 11, 2, tzinfo=UTC)
    await send(settings, records(101, 20))
    await count_live(settings, pool)
    await Months(0).close(changes.connection, OCTOBER, later)
    assert await pool.fetchval("SELECT count(*) FROM closed_question WHERE cut = 'terminal'") > 0
    await build(changes, CutsFile(2, (NEW.cuts[0], *NEW.cuts[2:])))
    assert (await changes.switch())[0] == "terminal: gone"
    assert await moved() == 0
    with pytest.raises(MustStop, match="nothing in 2026-10 changed since revision 1"):
        await Months(0).revise(changes.connection, OCTOBER, "other cuts", later)
    await count(pool, replace(answer(1, 1, 5), follow_ups={"ease": 1}), units=Units(pool, ()))
    assert await moved() == 2  # the cell of the total, and how often it was said there
    assert await Months(0).revise(changes.connection, OCTOBER, "late answers", later) == 2
    assert await moved() == 0
    assert await pool.fetchval("SELECT count(*) FROM closed_cell WHERE revision = 2 AND cut = 'method'") > 0


async def test_windows_of_a_cut_are_built_and_dropped_at_the_switch(
    settings: Settings, pool: Pool, changes: CutChanges
) -> None:
    await send(settings, records(41, 20))
    await count_live(settings, pool)
    wanted = CutsFile(2, (cut_named("total", (Window.MINUTE, *STANDARD)), cut_named("terminal", (Window.DAY,))))
    assert (await build(changes, wanted)).equal
    assert {window for window, _ in await shown(pool, "terminal")} == set(STANDARD)
    await changes.switch()
    assert {window for window, _ in await shown(pool, "terminal")} == {Window.DAY}
    assert {window for window, _ in await shown(pool, "total")} == {Window.MINUTE, *STANDARD}
    assert await audit(pool) == []
    await agreed(pool, wanted)
    with pytest.raises(MustStop, match="nothing to switch"):
        await changes.switch()


async def test_the_built_in_cuts_of_a_new_version_are_built_and_switched_on_with_their_history(
    settings: Settings, pool: Pool
) -> None:
    built_in = read_cuts(None)
    [before] = built_in.earlier
    connection = await connect(settings, "aggregator")
    changes = CutChanges(settings, pool, connection)
    await agreed(pool, before)
    await send(settings, records(71, 30))
    await count_live(settings, pool)
    await agreed(pool, built_in)
    assert await shown(pool, "terminal.wave") == {}
    assert {window for window, _ in await shown(pool, "driver")} == set(STANDARD)
    built = await build(changes, built_in)
    assert (sorted(built.cuts), built.equal) == (["terminal.reason", "terminal.wave", "wave"], True)
    for version in (before, built_in):  # while it is not shown yet, either may start
        await agreed(pool, version)
    await pool.execute("TRUNCATE touched")
    hours = {r["cell"] for r in await pool.fetch(_HOURS_OF_DRIVERS)}
    assert hours
    await changes.switch()
    assert not await pool.fetch(_HOURS_OF_DRIVERS)
    assert hours <= {c for r in await pool.fetch("SELECT cells FROM touched") for c in r["cells"]}
    assert {window for window, _ in await shown(pool, "driver")} == {*STANDARD} - {Window.HOUR}
    answers = {place: sum(counters[:5]) for place, counters in (await shown(pool, "total")).items()}
    by_wave = {place: sum(counters[:5]) for place, counters in (await shown(pool, "wave")).items()}
    assert by_wave == {(w, start): n for (w, start), n in answers.items() if w in {"month", "all"} and n}
    assert await audit(pool) == []
    await agreed(pool, built_in)
    with pytest.raises(MustStop, match="in other windows: driver"):
        await agreed(pool, before)
    await connection.close()


async def test_answers_that_the_topics_do_not_hold_keep_a_cut_from_being_switched_on(
    settings: Settings, pool: Pool, changes: CutChanges
) -> None:
    await send(settings, records(51, 5))
    await count_live(settings, pool)
    await count(pool, answer(1, 1, 5), answer(2, 1, 4))
    built = await build(changes, NEW)
    assert (built.equal, built.missing, built.differing) == (False, 2, 0)


async def test_a_new_cut_of_series_holds_all_that_was_kept_apart_before(pool: Pool, changes: CutChanges) -> None:
    machine = [replace(answer(n, 1, 1 + n % 5), suspected_machine=True) for n in range(1, 8)]
    await count(pool, answer(9, 1, 5), *machine[:5], units=Units(pool, OLD.cuts))
    wanted = (*OLD.cuts, cut_named("series"), cut_named("terminal.series"))
    new = await changes.plan(CutsFile(2, wanted))
    assert await audit(pool) == []
    await count(pool, *machine[5:], units=Units(pool, wanted))  # while the new cuts are not shown yet
    built = await changes.build(new)
    assert (built.equal, built.placed) == (True, 0)
    await changes.accept(built)
    assert await changes.switch() == [
        f"{c}: counted by hour, day, week, month, all" for c in ("series", "terminal.series")
    ]
    found = await table(pool)
    scores = {"s1": 1, "s2": 2, "s3": 2, "s4": 1, "s5": 1}
    assert found["series", "machine", "all", None] == scores
    assert found["terminal.series", "Årsta × machine", "all", None] == scores
    assert found["total", "", "all", None] == {"s5": 1, "opened": 1}


async def test_windows_of_a_cut_of_series_are_built_and_dropped_at_the_switch(pool: Pool, changes: CutChanges) -> None:
    machine = [replace(answer(n, 1, 1 + n % 5), suspected_machine=True) for n in range(1, 8)]
    by_day = CutsFile(2, (*OLD.cuts, cut_named("terminal.series", (Window.DAY, Window.ALL))))
    await changes.accept(Built([c.name for c in await changes.plan(by_day)], 0, 0, 0))
    await changes.switch()
    await count(pool, answer(9, 1, 5), *machine, units=Units(pool, ()))
    wanted = CutsFile(3, (*OLD.cuts, cut_named("terminal.series", (Window.MINUTE, Window.DAY, Window.MONTH))))
    assert await changes.plan(wanted) == []
    assert await changes.switch() == ["terminal.series: counted by minute, day, month"]
    cells = {where: n for where, n in (await table(pool)).items() if where[0] == "terminal.series"}
    scores = {"s1": 1, "s2": 2, "s3": 2, "s4": 1, "s5": 1}
    starts = {"minute": "2026-10-13T14:00", "day": "2026-10-13", "month": "2026-10"}
    assert cells == {("terminal.series", "Årsta × machine", *window): scores for window in starts.items()}
    assert await audit(pool) == []


async def test_the_commands_list_build_and_switch(
    settings: Settings, pool: Pool, changes: CutChanges, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KVITTERA_KAFKA_BOOTSTRAP", settings.kafka_bootstrap)
    monkeypatch.setenv("KVITTERA_POSTGRES_DSN", settings.postgres_dsn.get_secret_value())
    monkeypatch.setenv("KVITTERA_ALLOW_UNSAFE_POSTGRES", "true")
    await send(settings, records(61, 10))
    await count_live(settings, pool)
    file = tmp_path / "cuts.toml"
    file.write_text('cuts = ["method"]', encoding="utf-8")

    async def invoke(*words: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, app, ["cuts", *words])

    async def run(*words: str) -> str:
        done = await invoke(*words)
        assert done.exit_code == 0, done.output
        return done.output

    refused = await invoke("build", "--file", str(file))
    assert isinstance(refused.exception, MustStop)
    assert "tells no version, and version 1 is known. Write `version = 2` at the head" in str(refused.exception)
    file.write_text('version = 2\ncuts = ["method"]', encoding="utf-8")
    built = await run("build", "--file", str(file))
    assert built.startswith("method, series: ")
    assert "0 cells differ" in built
    assert "leaving" in await run("list")
    assert "built" in await run("list")
    assert (await run("list")).endswith("version of the file: 1, 2 after the next switch\n")
    assert (await run("switch")).splitlines() == [
        "terminal: gone",
        "method: counted by hour, day, week, month, all",
        "series: counted by hour, day, week, month, all",
    ]
    listed = (await run("list")).splitlines()
    assert [line.split()[:2] for line in listed] == [
        ["total", "counted"],
        ["method", "counted"],
        ["series", "counted"],
        ["version", "of"],
    ]
    assert listed[-1] == "version of the file: 2"
    assert {cut for cut, *_ in await table(pool)} == {"total", "method", "series"}
    assert changes.stored is not None
