"""What the survey service has ready and checked before it opens its port."""

import gc
import importlib.resources
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from services.chassis.failures import MustStop
from services.chassis.postgres import Database, OwnConnection, Pool, connect, open_pool
from services.chassis.settings import Settings
from services.survey import app
from services.survey.answers.masks_kept import MasksKept
from services.survey.answers.recorded import Posted, Recorded
from services.survey.answers.store import keep
from services.survey.asked_definitions import check_unchanged
from services.survey.definition_files import load_definitions, read_definitions
from services.survey.definitions import Definitions
from tests.survey_app import invite, survey

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

    async def noted(
        connection: Database, sql: Mapping[str, str], posted: Sequence[Posted], masks: MasksKept
    ) -> dict[bytes, Recorded]:
        planned.append(len(posted))
        return await keep(connection, sql, posted, masks)

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


def with_comment_box(shown: bool) -> Definitions:
    folder = importlib.resources.files("services.survey") / "definitions"
    files = {f.name: f.read_text("utf-8") for f in folder.iterdir() if f.name.endswith(".toml")}
    files["home.v1.toml"] = files["home.v1.toml"].replace("comment = true", f"comment = {str(shown).lower()}")
    return read_definitions(files)


async def test_a_definition_that_was_asked_may_not_change_and_one_that_was_not_may(
    settings: Settings,
) -> None:
    pool = await open_pool(settings, "survey")
    async with pool.acquire() as connection:
        for definitions in (load_definitions(), with_comment_box(False), load_definitions(), load_definitions()):
            await check_unchanged(connection, definitions)
        await invite(pool)  # a home delivery
        await check_unchanged(connection, load_definitions())
        for _ in range(2):
            with pytest.raises(MustStop, match=r"^home\.v1 was asked before .* into home\.v2\.toml"):
                await check_unchanged(connection, with_comment_box(False))
        await check_unchanged(connection, load_definitions())
    pool.terminate()


async def test_a_service_whose_asked_definition_changed_does_not_start(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = await open_pool(settings, "survey")
    async with pool.acquire() as connection:
        await check_unchanged(connection, load_definitions())
    await invite(pool)
    pool.terminate()
    monkeypatch.setattr(app, "configure_logs", lambda *_: None)
    monkeypatch.setattr(app, "load_definitions", lambda _: with_comment_box(False))
    with pytest.raises(MustStop, match="was asked before"):
        await app.run(settings)


async def test_a_definition_of_ones_own_that_was_asked_may_not_change_either(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = importlib.resources.files("services.survey") / "definitions" / "home.v1.toml"
    own = tmp_path / "home.v2.toml"
    own.write_text(shipped.read_text("utf-8").replace("home.v1", "home.v2"), encoding="utf-8")
    pool = await open_pool(settings, "survey")
    async with pool.acquire() as connection:
        await check_unchanged(connection, load_definitions(tmp_path))
    await invite(pool, survey="home.v2", definitions=load_definitions(tmp_path))
    pool.terminate()
    own.write_text(own.read_text("utf-8").replace("comment = true", "comment = false"), encoding="utf-8")
    monkeypatch.setattr(app, "configure_logs", lambda *_: None)
    with pytest.raises(MustStop, match=r"^home\.v2 was asked before .* into home\.v3\.toml"):
        await app.run(settings.model_copy(update={"surveys_folder": tmp_path}))
