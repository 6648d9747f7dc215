"""Made-up deliveries reach no real person, and no server that nobody named for them."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest
from pydantic import SecretStr

from services.chassis.failures import MustStop
from services.chassis.metrics import Metrics
from services.chassis.settings import Settings
from services.demo import runtime
from services.demo.place import Options
from services.demo.strangers import refuse_channel, refuse_sender, refuse_strangers
from services.demo.supervisor import Supervisor
from tests.gateways import Act, answer, gateway, reset

HERE = {
    "KVITTERA_KAFKA_BOOTSTRAP": "127.0.0.1:9092",
    "KVITTERA_POSTGRES_DSN": "postgresql://postgres@127.0.0.1:5432/kvittera",
}
ELSEWHERE = {
    "KVITTERA_KAFKA_BOOTSTRAP": "kafka.example:9092",
    "KVITTERA_POSTGRES_DSN": "postgresql://kvittera@db.example/kvittera",
}
LIVE = {"KVITTERA_CHANNEL": "smtp", "KVITTERA_LIVE_SENDING_UNTIL": "2026-12-01T16:00:00Z"}
SERVICES = {s: f"http://{s}.example:8601" for s in ("notifier", "survey", "aggregator")}


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An empty folder to run the demo in."""
    monkeypatch.chdir(tmp_path)
    return monkeypatch


def set_in(shell: pytest.MonkeyPatch, settings: dict[str, str]) -> None:
    """Export settings."""
    for name, text in settings.items():
        shell.setenv(name, text)


def test_the_demo_sends_to_its_outbox_whatever_the_shell_says(shell: pytest.MonkeyPatch) -> None:
    set_in(shell, LIVE)
    options = Options(headless=True)
    runtime.check(options)

    demo = runtime.assemble(options, HERE, Path("logs"))

    assert demo.settings.channel == "outbox"
    assert isinstance(demo.supervisor, Supervisor)
    assert demo.supervisor.environment["KVITTERA_CHANNEL"] == "outbox"


@pytest.mark.parametrize("attach", [{}, SERVICES])
def test_the_demo_does_not_run_on_servers_whose_settings_reach_people(
    shell: pytest.MonkeyPatch, attach: dict[str, str]
) -> None:
    set_in(shell, {**HERE, **LIVE})
    with pytest.raises(MustStop, match="KVITTERA_CHANNEL must be outbox"):
        runtime.check(Options(headless=True, attach=attach, not_loopback=True))


@pytest.mark.parametrize("attach", [{}, SERVICES])
def test_the_demo_runs_on_servers_elsewhere_only_if_told_so(shell: pytest.MonkeyPatch, attach: dict[str, str]) -> None:
    set_in(shell, ELSEWHERE)
    with pytest.raises(MustStop, match=r"db.example, kafka.example.* is not this machine: .* give --not-loopback"):
        runtime.check(Options(headless=True, attach=attach))

    runtime.check(Options(headless=True, attach=attach, not_loopback=True))


def test_the_demo_does_not_attach_to_services_elsewhere_unless_told_so(shell: pytest.MonkeyPatch) -> None:
    set_in(shell, HERE)
    with pytest.raises(MustStop, match=r"aggregator.example, notifier.example, survey.example is not this machine"):
        runtime.check(Options(headless=True, attach=SERVICES))


@pytest.mark.parametrize(
    ("changed", "url"),
    [
        ({"kafka_bootstrap": "127.0.0.1:9092,kafka.example:9092"}, "http://127.0.0.1:8602"),
        ({"kafka_bootstrap": "kafka.example"}, "http://127.0.0.1:8602"),
        ({"postgres_dsn": SecretStr("postgresql://kvittera@db.example/kvittera")}, "http://127.0.0.1:8602"),
        ({"postgres_dsn": SecretStr("postgresql://k@127.0.0.1:5432,db.example:5432/kvittera")}, "http://localhost"),
        ({"postgres_dsn": SecretStr("postgresql:///kvittera?host=db.example")}, "http://127.0.0.1:8602"),
        ({}, "https://svar.nordposten.example"),
    ],
)
def test_a_target_on_another_machine_is_refused(changed: dict[str, Any], url: str) -> None:
    with pytest.raises(MustStop, match=r"example is not this machine: .* give --not-loopback"):
        refuse_strangers(Settings(**changed), [url])


def test_the_host_that_the_driver_takes_from_the_shell_is_refused_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "db.example")
    with pytest.raises(MustStop, match=r"db\.example is not this machine"):
        refuse_strangers(Settings(postgres_dsn=SecretStr("postgresql:///kvittera")), [])


@pytest.mark.parametrize("dsn", ["postgresql:///kvittera", "postgresql:///kvittera?host=/run/postgresql"])
def test_targets_on_this_machine_are_driven(dsn: str) -> None:
    settings = Settings(kafka_bootstrap="localhost:9092,[::1]:9092", postgres_dsn=SecretStr(dsn))
    refuse_strangers(settings, ["http://127.0.0.1:8602", "http://[::1]:8601", "http://localhost:8600"])


def test_a_system_that_reaches_people_is_never_driven() -> None:
    with pytest.raises(MustStop, match="KVITTERA_CHANNEL must be outbox"):
        refuse_channel(Settings(channel="smtp"))


async def test_a_notifier_of_others_is_taken_at_its_own_word() -> None:
    metrics = Metrics()
    async with gateway(answer(200, generate_latest(metrics.registry).decode())) as notifier:
        await refuse_sender(f"http://127.0.0.1:{notifier.port}")

    metrics.set("kvittera_sending_permitted_until_timestamp_seconds", 1_796_140_800.0)
    async with gateway(answer(200, generate_latest(metrics.registry).decode())) as notifier:
        with pytest.raises(MustStop, match="reaches real people: its KVITTERA_CHANNEL must be outbox"):
            await refuse_sender(f"http://127.0.0.1:{notifier.port}")


@pytest.mark.parametrize("act", [answer(403), answer(200, "something else"), reset])
async def test_a_notifier_that_does_not_say_whom_it_reaches_is_refused(act: Act) -> None:
    async with gateway(act) as notifier:
        with pytest.raises(MustStop, match="does not say whether it reaches real people"):
            await refuse_sender(f"http://127.0.0.1:{notifier.port}")


async def test_nothing_is_published_to_attached_services_whose_notifier_reaches_people(
    shell: pytest.MonkeyPatch,
) -> None:
    set_in(shell, HERE)
    metrics = Metrics()
    metrics.set("kvittera_sending_permitted_until_timestamp_seconds", 1_796_140_800.0)
    async with gateway(answer(200, generate_latest(metrics.registry).decode())) as all_three:
        urls = dict.fromkeys(SERVICES, f"http://127.0.0.1:{all_three.port}")
        demo = runtime.assemble(Options(headless=True, attach=urls), {}, Path("logs"))
        with pytest.RaisesGroup(pytest.RaisesExc(MustStop, match="reaches real people")):
            await runtime.run(demo, asyncio.Event(), lambda _: None)

    assert not demo.delivering.is_set()
