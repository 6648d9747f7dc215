"""Who waits for a server says so at once and then now and then, in a service's log or on the terminal."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from pydantic import SecretStr

from services.chassis import waiting
from services.chassis.environment import load_settings
from services.chassis.failures import MustStop
from services.chassis.kafka import start_with_patience
from services.chassis.logs import configure_logs
from services.chassis.postgres import open_pool
from services.chassis.waiting import waits_for
from services.cli.run import migrate_all

NOBODY = load_settings(
    {
        "KVITTERA_KAFKA_BOOTSTRAP": "127.0.0.1:1",
        "KVITTERA_POSTGRES_DSN": "postgresql://kvittera@127.0.0.1:1/kvittera",
        "KVITTERA_BOOT_PATIENCE_SECONDS": "0.8",  # the first attempt must fit, on any machine
        "KVITTERA_LOG_FORMAT": "json",
    }
)


@pytest.fixture(autouse=True)
def unconfigured(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Logs as in a command, and afterwards as other tests have them."""
    before = structlog.get_config()
    monkeypatch.setattr(waiting, "log", structlog.get_logger())  # what a service has logged with keeps where it writes
    structlog.reset_defaults()
    yield
    structlog.configure(**before)


def test_the_first_fault_is_told_at_once_and_then_one_every_quarter_of_a_minute(
    capsys: pytest.CaptureFixture[str],
) -> None:
    moments = iter([0.0, 0.0, 0.0, 1.0, 14.9, 15.0, 15.0, 29.0])
    tell = waits_for("Kafka", "KVITTERA_KAFKA_BOOTSTRAP", now=lambda: next(moments))
    for fault in (OSError("a"), OSError("b"), OSError("c"), TimeoutError("d"), OSError("e")):
        tell(fault)
    told = capsys.readouterr()
    assert told.out == "", "what a command prints for programs stays whole"
    assert told.err.splitlines() == [
        "waiting for Kafka (OSError); look at KVITTERA_KAFKA_BOOTSTRAP and whether it runs",
        "waiting for Kafka (TimeoutError); look at KVITTERA_KAFKA_BOOTSTRAP and whether it runs",
    ]


async def test_a_service_whose_servers_are_away_names_them_in_its_log(capsys: pytest.CaptureFixture[str]) -> None:
    async def start() -> None:
        raise ConnectionRefusedError

    of_pytest = logging.root.handlers[:]
    configure_logs(NOBODY, "survey")
    with pytest.raises(MustStop, match="PostgreSQL cannot be used"):
        await open_pool(NOBODY, "survey")
    with pytest.raises(MustStop, match="Kafka cannot be reached by a reader"):
        await start_with_patience(start, NOBODY, "a reader")
    logging.root.handlers[:] = of_pytest
    told = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    # What other tests left behind may be told of in between, when it is thrown away.
    waited = [line for line in told if line.get("action") == "wait"]
    assert [(line["server"], line["look_at"], line["error"]) for line in waited] == [
        ("PostgreSQL", "KVITTERA_POSTGRES_DSN", "ConnectionRefusedError"),
        ("Kafka", "KVITTERA_KAFKA_BOOTSTRAP", "ConnectionRefusedError"),
    ]


async def test_an_at_sign_in_a_password_is_told_with_how_it_is_written() -> None:
    dsn = SecretStr("postgresql://kvittera:p@ss@127.0.0.1/kvittera")
    with pytest.raises(MustStop, match=r"its host has no address; .* password .* %40"):
        await migrate_all(NOBODY.model_copy(update={"postgres_dsn": dsn}))
