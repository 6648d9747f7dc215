"""Everything counted again from the topics gives the live cells, bit for bit; a live cell that differs is found."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest
from typer.testing import CliRunner

from schemas.topics import CARDS
from services.aggregator.counting.cuts import CutsFile, cut_named, load_cuts, read_cuts
from services.aggregator.counting.minute_cells import MinuteCells
from services.aggregator.counting.reading import TOPICS
from services.aggregator.counting.stored_cuts import StoredCuts
from services.aggregator.counting.zone_data import note_zone_data, zone_data
from services.aggregator.history.lanes import Lanes
from services.aggregator.history.shadow import DifferingCell, replay
from services.chassis.failures import MustStop
from services.chassis.postgres import Database, Pool, open_pool
from services.chassis.settings import Settings
from services.chassis.topic_admin import apply_topics
from services.cli import app
from tests.builders import NOON
from tests.counted_topics import count_live, records, send
from tests.tables import make_incoming


@pytest.fixture
async def pool(settings: Settings) -> AsyncIterator[Pool]:
    await apply_topics(settings, [CARDS[topic] for topic in TOPICS])
    made = await open_pool(settings, "aggregator", prepare=make_incoming)
    yield made
    made.terminate()


async def test_the_topics_counted_again_give_the_live_cells_and_account_for_every_record(
    settings: Settings, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(MustStop, match="nothing was counted yet"):
        await replay(settings)
    async with pool.acquire() as connection:
        await StoredCuts().agree(connection, CutsFile(1, [*load_cuts(None), cut_named("terminal.wave_5")]))
        await note_zone_data(connection, "1999z", NOON)
    async with pool.acquire() as another:
        await another.execute("SELECT pg_advisory_lock(hashtext('aggregator_shadow replay'))")
        with pytest.raises(MustStop, match="another replay runs"):
            await replay(settings)
        await another.execute("SELECT pg_advisory_unlock(hashtext('aggregator_shadow replay'))")
    await send(settings, records(1, 40))
    read = await count_live(settings, pool)
    await send(settings, records(2, 20))  # not counted live yet, so not compared
    found = await replay(settings)
    assert found.equal
    assert found.differing == []
    assert found.cells > 100
    assert found.said == await pool.fetchval("SELECT count(*) FROM question, jsonb_object_keys(said)") > 10
    waves = await pool.fetch("SELECT value FROM unit JOIN cell ON cell >> 32 = id WHERE cut = 'terminal.wave_5'")
    assert {r["value"].partition(" × ")[2] for r in waves} == {"early", "late"}
    assert (found.read, found.missing) == (read, 0)
    assert found.put_aside >= 2
    await count_live(settings, pool)
    first = "SELECT min(local_hour) FROM question WHERE said ? 'recommend'"
    await pool.execute(f"UPDATE question SET said = said - 'recommend' WHERE local_hour = ({first})")
    await pool.execute("UPDATE cell SET s5 = s5 + 1 WHERE cell = (SELECT min(cell) FROM cell WHERE s5 > 0)")
    found = await replay(settings)
    assert not found.equal
    assert [(d.question, d.value, d.live, d.shadow) for d in found.differing_said] == [("recommend", 9, 0, 1)]
    [differing] = found.differing
    assert isinstance(differing, DifferingCell)
    assert differing.live is not None
    assert differing.shadow is not None
    assert [a - b for a, b in zip(differing.live, differing.shadow, strict=True)] == [0, 0, 0, 0, 1, *[0] * 9]
    assert await pool.fetchval("SELECT to_regnamespace('aggregator_shadow')") is None
    assert (found.zone_data, found.zone_data_live) == (zone_data(), ["1999z"])
    await told_by_the_command(settings, monkeypatch, differing)


async def test_minutes_that_go_while_a_replay_ends_are_no_difference(
    settings: Settings, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pool.acquire() as connection:
        await StoredCuts().agree(connection, read_cuts(None))
    await send(settings, records(3, 40))
    await count_live(settings, pool)
    first_gone: list[int] = []

    async def in_the_middle_of_the_minutes(_: Database) -> datetime:
        return NOON + timedelta(minutes=2500)

    async def write_slowly(lanes: Lanes) -> None:
        first_gone.append(await MinuteCells(pool, 0, in_the_middle_of_the_minutes).drop())
        await write(lanes)

    write = Lanes.write
    monkeypatch.setattr(Lanes, "write", write_slowly)
    found = await replay(settings)
    assert first_gone[0] > 0
    assert found.differing == []
    assert (await replay(settings)).equal  # nor are those that had gone before


async def told_by_the_command(settings: Settings, monkeypatch: pytest.MonkeyPatch, differing: DifferingCell) -> None:
    monkeypatch.setenv("KVITTERA_KAFKA_BOOTSTRAP", settings.kafka_bootstrap)
    monkeypatch.setenv("KVITTERA_POSTGRES_DSN", settings.postgres_dsn.get_secret_value())
    monkeypatch.setenv("KVITTERA_ALLOW_UNSAFE_POSTGRES", "true")
    done = await asyncio.to_thread(CliRunner().invoke, app, ["replay", "--from", "0", "--into", "shadow"])
    assert done.exit_code == 1
    assert done.stdout.startswith("NOT EQUAL: ")
    assert f"{differing.cut} {differing.value!r} {differing.window}" in done.stdout
    zones = (
        f"hours by time-zone data {zone_data()}; the live counters have theirs by 1999z: where a zone's rules changed"
    )
    assert zones in done.stdout
