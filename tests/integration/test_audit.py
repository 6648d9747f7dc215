"""The audit over real tables: what it finds is the same however few answers it holds at once."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from typer.testing import CliRunner

from services.aggregator.history.latest_audit import LatestAudit
from services.audit import Answer, Audit, keep_result, run_audit, side_by_side
from services.chassis.metrics import Metrics
from services.chassis.postgres import OwnConnection, Pool, connect
from services.chassis.settings import Settings
from services.cli import app
from tests.tables import empty_pool

Said = tuple[int, int, int | None, bool]
"""Number of the answer, revision, score, contested."""


@pytest.fixture(scope="module")
def settings(shared_settings: Settings) -> Settings:
    return shared_settings


@pytest.fixture
async def survey(settings: Settings) -> AsyncIterator[Pool]:
    async with empty_pool(settings, "survey") as empty:
        yield empty


@pytest.fixture
async def aggregator(settings: Settings) -> AsyncIterator[Pool]:
    async with empty_pool(settings, "aggregator") as empty:
        yield empty


async def acknowledge(pool: Pool, *answers: Said) -> None:
    await pool.executemany(
        "INSERT INTO response (response_id, revision, score, contested, answered_at, changed_at)"
        " VALUES ($1, $2, $3, $4, now(), now())",
        [(UUID(int=n), revision, score, contested or None) for n, revision, score, contested in answers],
    )


async def acknowledge_at_kiosk(pool: Pool, *numbers: int) -> None:
    kiosk = uuid4()
    await pool.execute(
        "INSERT INTO api_client VALUES ($1, 'Årsta', 'k', '-', '{kiosk}', '{}', now(), now(), NULL)", kiosk
    )
    await pool.executemany(
        "INSERT INTO kiosk_response VALUES ($1, $2, 1, 4, now(), now())", [(UUID(int=n), kiosk) for n in numbers]
    )


async def count(pool: Pool, *answers: Said) -> None:
    await pool.executemany(
        "INSERT INTO answer (response_id, revision, score, commented, contested, local_hour, units)"
        " VALUES ($1, $2, $3, false, $4, 0, '{}')",
        [(UUID(int=n), *said) for n, *said in answers],
    )


@pytest.mark.parametrize("at_once", [1, 2, 10_000])
async def test_lost_doubled_and_waiting_answers_are_found_with_few_held_at_once(
    settings: Settings, survey: Pool, aggregator: Pool, at_once: int
) -> None:
    right = [(n, n, 5, False) for n in range(1, 6)] + [(6, 1, None, True)]
    await acknowledge(survey, *right, (10, 2, 4, False), (11, 2, 4, False), (12, 2, 4, False), (14, 1, 4, False))
    await acknowledge_at_kiosk(survey, 9, 3_001)
    await count(aggregator, *right, (9, 1, 4, False))
    await count(aggregator, (10, 2, 3, False), (11, 1, 4, False), (12, 2, 4, True), (14, 2, 1, False))
    await count(aggregator, (7, 1, 5, False), (8, 1, 5, False), (9_000, 1, 5, False))
    found = await run_audit(settings, at_once=at_once)
    # 10 and 12 are counted otherwise; 11 and 3001 are on their way; nobody acknowledged 7, 8, 9000 and that of 14.
    assert found == Audit(acknowledged=12, counted=14, lost=2, double=4, in_flight=2)


@pytest.mark.parametrize("at_once", [1, 10_000])
async def test_an_audit_that_waits_looks_for_those_on_their_way_alone_however_long_all_takes(
    settings: Settings, survey: Pool, aggregator: Pool, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    await acknowledge(survey, (1, 1, 4, False), (2, 2, 4, False), (3, 1, 4, False))
    await count(aggregator, (2, 1, 5, False))
    passes = 0

    async def slow_pairs(*sides: AsyncIterator[Answer]) -> AsyncIterator[tuple[Answer | None, Answer | None]]:
        nonlocal passes
        passes += 1
        async for pair in side_by_side(*sides):
            yield pair
        await asyncio.sleep(0.6)  # longer than the patience below
        await count(aggregator, (1, 1, 4, False), (3, 2, 1, False))
        await aggregator.execute("UPDATE answer SET revision = 2, score = 4 WHERE response_id = $1", UUID(int=2))
        await acknowledge(survey, (4, 1, 4, False))  # a moment ago

    monkeypatch.setattr("services.audit.side_by_side", slow_pairs)
    found = await run_audit(settings, wait=0.5, at_once=at_once)
    assert found == Audit(acknowledged=3, counted=3, lost=0, double=0, in_flight=0)
    assert passes == 1


async def test_what_does_not_arrive_in_the_time_given_is_lost_and_so_is_what_arrives_otherwise(
    settings: Settings, survey: Pool, aggregator: Pool
) -> None:
    await acknowledge(survey, (1, 1, 4, False), (2, 1, 4, False), (3, 1, 4, False))
    waiting = asyncio.create_task(run_audit(settings, wait=2))
    await asyncio.sleep(1)
    await count(aggregator, (1, 1, 4, False), (2, 1, 5, False))
    assert await waiting == Audit(acknowledged=3, counted=2, lost=2, double=0, in_flight=0)


async def test_where_more_are_on_their_way_than_are_remembered_all_is_compared_again(
    settings: Settings, survey: Pool, aggregator: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.audit._REMEMBERED", 1)
    await acknowledge(survey, (1, 1, 4, False), (2, 1, 4, False))
    lost = await run_audit(settings, wait=0.3)
    assert lost == Audit(acknowledged=2, counted=0, lost=2, double=0, in_flight=0)
    waiting = asyncio.create_task(run_audit(settings, wait=20))
    await asyncio.sleep(1)
    await count(aggregator, (1, 1, 4, False), (2, 1, 4, False))
    assert await waiting == Audit(acknowledged=2, counted=2, lost=0, double=0, in_flight=0)


@pytest.mark.usefixtures("survey")
@pytest.mark.parametrize("at_once", [7, 10_000])
async def test_the_first_twenty_differing_cells_are_named_and_the_others_counted(
    settings: Settings, aggregator: Pool, at_once: int
) -> None:
    cells = [(1 << 32) + n for n in range(30)]
    zeros = ", 0" * 11
    await aggregator.executemany(f"INSERT INTO cell SELECT $1, 1, 1{zeros}", [(c,) for c in cells])
    found = await run_audit(settings, at_once=at_once)
    assert (found.clean, found.differing_cells) == (False, 30)
    assert [d.cell for d in found.differing] == cells[:20]
    assert found.lines()[-1] == "  and 10 more"


async def test_an_audit_whose_sorting_and_folding_take_hours_is_not_cut_off(
    settings: Settings, survey: Pool, aggregator: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_year_of_answers = 40 * 60  # seconds for 120 million, docs/scale.md
    patience: list[float] = []
    opened: list[OwnConnection] = []
    in_snapshots: list[timedelta] = []

    async def open_noted(*asked: Any, **options: Any) -> OwnConnection:
        patience.append(options["command_timeout"])
        opened.append(await connect(*asked, **options))
        return opened[-1]

    async def pairs(*sides: AsyncIterator[Answer]) -> AsyncIterator[tuple[Answer | None, Answer | None]]:
        for connection in opened:
            if connection.is_in_transaction():
                shown = "SELECT current_setting('idle_in_transaction_session_timeout')::interval"
                in_snapshots.append(await connection.fetchval(shown))
        async for pair in side_by_side(*sides):
            yield pair

    monkeypatch.setattr("services.audit.connect", open_noted)
    monkeypatch.setattr("services.audit.side_by_side", pairs)
    await acknowledge(survey, (1, 1, 4, False))
    await count(aggregator, (1, 1, 4, False))
    assert (await run_audit(settings)).clean
    assert min(patience) > a_year_of_answers
    assert [waits.total_seconds() > a_year_of_answers for waits in in_snapshots] == [True, True]


async def audited(settings: Settings, aggregator: Pool) -> tuple[float, float]:
    """When an audit ended and what it found, as a process tells that begins after it."""
    await keep_result(settings, await run_audit(settings))
    metrics = Metrics()
    await LatestAudit(aggregator, metrics).look()
    return told(metrics)


def told(metrics: Metrics) -> tuple[float, float]:
    ended = metrics.registry.get_sample_value("kvittera_audit_ended_timestamp_seconds")
    differences = metrics.registry.get_sample_value("kvittera_audit_differences")
    assert ended is not None
    assert differences is not None
    return ended, differences


async def test_the_metrics_tell_when_the_latest_audit_ended_and_how_much_differed(
    settings: Settings, survey: Pool, aggregator: Pool
) -> None:
    never = Metrics()
    await LatestAudit(aggregator, never).look()
    assert told(never) == (0, 0)

    await acknowledge(survey, (1, 1, 4, False))
    await count(aggregator, (1, 1, 3, False), (7, 1, 5, False))
    began = time.time()
    ended, differences = await audited(settings, aggregator)
    assert began - 5 < ended < time.time() + 5
    assert differences == 2  # 1 is counted otherwise, nobody acknowledged 7

    await aggregator.execute("UPDATE answer SET score = 4 WHERE response_id = $1", UUID(int=1))
    await aggregator.execute("DELETE FROM answer WHERE response_id = $1", UUID(int=7))
    again, differences = await audited(settings, aggregator)
    assert (again > ended, differences) == (True, 0)


@pytest.mark.usefixtures("survey")
async def test_the_command_keeps_what_it_found_and_exits_with_1(
    settings: Settings, aggregator: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KVITTERA_POSTGRES_DSN", settings.postgres_dsn.get_secret_value())
    await count(aggregator, (7, 1, 5, False))
    done = await asyncio.to_thread(CliRunner().invoke, app, ["audit"])
    assert (done.exit_code, done.stdout.splitlines()[0]) == (1, "NOT CLEAN: 0 lost, 1 double, 0 differing cells")
    assert await aggregator.fetchval("SELECT differences FROM audit") == 1
