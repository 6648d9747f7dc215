"""What a process loads before it begins. Each of these packages takes 10 to 130 ms of its start."""

import subprocess
import sys
from collections.abc import Iterable

import pytest

from tests.kvittera import ROOT

NOBODY_ASKED_FOR = {"aiohttp", "aiosmtplib", "httpx2", "joserfc", "opentelemetry.sdk", "py3langid", "requests"}


def loaded(program: str) -> set[str]:
    """The modules that are there after these lines ran in an interpreter of their own."""
    told = subprocess.run(
        [sys.executable, "-c", f"{program}\nimport sys\nprint(*sys.modules)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return set(told.stdout.split())


def of(packages: Iterable[str], modules: set[str]) -> set[str]:
    return {p for p in packages if any(m == p or m.startswith(f"{p}.") for m in modules)}


@pytest.mark.parametrize(
    ("service", "others"),
    [
        ("notifier", {"services.survey", "services.aggregator", "numpy", "fastapi"}),
        ("survey", {"services.notifier", "services.aggregator", "numpy"}),
        ("aggregator", {"services.notifier", "services.survey", "faststream", "fastapi", "phonenumbers", "holidays"}),
    ],
)
def test_a_service_loads_nothing_that_the_built_in_settings_do_not_need(service: str, others: set[str]) -> None:
    unneeded = NOBODY_ASKED_FOR | others | {"services.cli", "services.embedded", "services.demo", "typer"}

    assert of(unneeded, loaded(f"import services.{service}.app")) == set()


def test_the_command_line_tells_its_help_without_a_driver_a_service_or_the_contract() -> None:
    unneeded = {"asyncpg", "aiokafka", "pydantic", "structlog", "schemas", "services.chassis", "services.embedded"}

    assert of(unneeded, loaded("import services.__main__\nfrom services.cli import app")) == set()
