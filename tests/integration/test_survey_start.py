"""What the survey service has ready before it opens its port: who comes first waits for no connection and no plan."""

import gc
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from services.chassis.postgres import Database, OwnConnection, Pool, connect, open_pool
from services.chassis.settings import Settings
from services.survey import app
from services.survey.answers.recorded import Posted, Recorded
from services.survey.answers.store import keep
from tests.survey_app import survey

_OPEN = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND application_name = 'kvittera-survey' AND pid <> pg_backend_pid()"
)


@pytest.fixture
def collector_as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


async def opened(watching: OwnConnection) -> int:
    return int(await watching.fetchval(_OPEN))


@pytest.mark.usefixtures("collector_as_before")
async def test_before_its_port_opens_the_service_has_connections_and_plans_for_the_first_answers(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    watching = await connect(settings, "survey")
    seen = list[int]()
    planned = list[int]()

    async def instead_of_opening(tasks: dict[str, Any], **_: object) -> None:
        assert "http" in tasks
        seen.append(await opened(watching))

    async def noted(connection: Database, sql: Mapping[str, str], posted: Sequence[Posted]) -> dict[bytes, Recorded]:
        planned.append(len(posted))
        return await keep(connection, sql, posted)

    monkeypatch.setattr("services.survey.answers.handlers.keep", noted)
    monkeypatch.setattr(app, "configure_logs", lambda *_: None)
    monkeypatch.setattr(app, "run_until_stopped", instead_of_opening)
    await app.run(settings)
    await watching.close()
    assert seen == [7]  # six for answers and what is read meanwhile, and one for looking
    assert planned == [0] * 6


async def test_a_small_pool_is_warmed_as_far_as_it_goes_and_given_back(settings: Settings) -> None:
    pool = await open_pool(settings.model_copy(update={"postgres_connections": 2}), "survey")
    await survey(pool, settings).warm_up(datetime.now(UTC))
    assert (pool.get_size(), pool.get_idle_size()) == (2, 2)
    pool.terminate()


async def test_a_database_that_goes_away_meanwhile_only_leaves_the_first_ones_slower(
    settings: Settings, unused_tcp_port: int
) -> None:
    nobody: Pool = await asyncpg.create_pool(f"postgresql://postgres@127.0.0.1:{unused_tcp_port}/x", min_size=0)
    await survey(nobody, settings).warm_up(datetime.now(UTC))
    nobody.terminate()
