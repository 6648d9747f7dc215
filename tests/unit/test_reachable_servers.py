"""A command whose servers go away says so in a sentence, and never ends like a proof that found something."""

import json
import os
from pathlib import Path

import asyncpg
import pytest
from aiokafka.errors import KafkaConnectionError
from pydantic import SecretStr

from services.chassis.failures import MustStop
from services.chassis.postgres import connect
from services.chassis.settings import Settings
from services.embedded.folder_lock import sole_use
from services.embedded.local import _running, reachable


@pytest.fixture(autouse=True)
def servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KVITTERA_POSTGRES_DSN", "postgresql://127.0.0.1:9/none")


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.AdminShutdownError("terminating connection"),
        asyncpg.InterfaceError("connection is closed"),
        ConnectionResetError(),
        TimeoutError(),
        KafkaConnectionError(),
    ],
    ids=lambda e: type(e).__name__,
)
def test_a_server_that_goes_away_meanwhile_is_told_in_a_sentence(error: Exception) -> None:
    with (
        pytest.raises(MustStop, match=rf"went away before this was done \({type(error).__name__}\)"),
        reachable(postgres=True),
    ):
        raise error


@pytest.mark.parametrize("error", [FileNotFoundError("nowhere.csv"), MustStop("no such delivery"), ValueError("odd")])
def test_any_other_failure_is_told_as_it_is(error: Exception) -> None:
    with pytest.raises(type(error), match=str(error)), reachable(postgres=True):
        raise error


@pytest.mark.parametrize("dsn", ["postgres//canary", "postgresql://u:canary@127.0.0.1:port/x"])
async def test_an_address_of_postgresql_that_cannot_be_read_is_told_by_the_settings_name_without_it(dsn: str) -> None:
    with pytest.raises(MustStop, match=r"wrong setting KVITTERA_POSTGRES_DSN: give .*") as stop:
        await connect(Settings(postgres_dsn=SecretStr(dsn)), "survey")
    assert "canary" not in str(stop.value)


def test_a_demo_that_was_killed_is_not_taken_for_running_though_its_number_is_given_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.embedded.local.FOLDER", tmp_path)
    (tmp_path / "running.json").write_text(json.dumps({"pid": os.getpid(), "KVITTERA_POSTGRES_DSN": "here"}))
    assert _running() is None
    with sole_use(tmp_path):
        assert _running() == {"KVITTERA_POSTGRES_DSN": "here"}
    assert _running() is None
