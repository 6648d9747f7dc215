"""A command whose servers go away says so in a sentence, and never ends like a proof that found something."""

import errno
import json
import os
import socket
import ssl
import sys
from pathlib import Path

import asyncpg
import pytest
from aiokafka.errors import KafkaConnectionError, TopicAuthorizationFailedError
from pydantic import SecretStr

from services.chassis.failures import MustStop
from services.chassis.postgres import connect
from services.chassis.settings import Settings
from services.embedded.folder_lock import sole_use
from services.embedded.local import _running, reachable
from tests.kvittera import kvittera_here


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


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            asyncpg.InvalidPasswordError('password authentication failed for user "kvittera"'),
            'PostgreSQL refuses: password authentication failed for user "kvittera"; check KVITTERA_POSTGRES_DSN',
        ),
        (
            asyncpg.InvalidAuthorizationSpecificationError("no pg_hba.conf entry for host"),
            "PostgreSQL refuses: no pg_hba.conf entry for host; check KVITTERA_POSTGRES_DSN and the rights",
        ),
        (
            asyncpg.InsufficientPrivilegeError("permission denied for schema survey"),
            "PostgreSQL refuses: permission denied for schema survey; check KVITTERA_POSTGRES_DSN and the rights",
        ),
        (
            asyncpg.InvalidCatalogNameError('database "kvitera" does not exist'),
            'PostgreSQL answers but database "kvitera" does not exist: create the database, then run',
        ),
        (
            socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
            "PostgreSQL cannot be used (its host has no address; special characters of the password are written",
        ),
        (
            ssl.SSLCertVerificationError(1, "certificate verify failed"),
            "PostgreSQL cannot be used (SSLCertVerificationError); check KVITTERA_POSTGRES_DSN and that it runs",
        ),
        (
            OSError(errno.EHOSTUNREACH, "No route to host"),
            "Kafka or PostgreSQL went away before this was done (OSError); `kvittera doctor` says which",
        ),
        (
            TopicAuthorizationFailedError(),
            "Kafka refuses (TopicAuthorizationFailedError): give this account the right, or run it as one that has",
        ),
    ],
    ids=lambda case: "" if isinstance(case, str) else type(case).__name__,
)
def test_a_server_that_refuses_or_is_not_found_is_told_as_that(error: Exception, said: str) -> None:
    with pytest.raises(MustStop) as stop, reachable(postgres=True):
        raise error
    assert str(stop.value).startswith(said)


def test_an_audit_that_does_not_find_its_server_ends_unlike_one_that_found_something(
    tmp_path: Path,
) -> None:
    nowhere = "postgresql://kvittera@nowhere.invalid/kvittera"
    ended = kvittera_here(tmp_path, "audit", KVITTERA_POSTGRES_DSN=nowhere)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("kvittera: PostgreSQL cannot be used (its host has no address;")


def test_a_fault_of_a_proof_itself_ends_unlike_one_that_found_something(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def faulty(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("services.audit.run_audit", faulty)
    monkeypatch.setattr("sys.excepthook", sys.excepthook)  # which the command sets
    ended = kvittera_here(tmp_path, "audit", KVITTERA_POSTGRES_DSN="postgresql://127.0.0.1:9/none")
    assert ended.returncode == 70
    assert "ZeroDivisionError" in ended.stderr


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
