"""What a process loads before it begins. Each of these packages takes 10 to 130 ms of its start."""

import subprocess
import sys
from collections.abc import Iterable

import pytest

from tests.kvittera import ROOT

NOBODY_ASKED_FOR = {"aiohttp", "aiosmtplib", "httpx2", "joserfc", "opentelemetry.sdk", "py3langid", "requests"}


def words_of(program: str) -> list[str]:
    """What these lines print in an interpreter of their own."""
    told = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return told.stdout.split()


def loaded(program: str) -> set[str]:
    """The modules that are there afterwards."""
    return set(words_of(f"{program}\nimport sys\nprint(*sys.modules)"))


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


def test_the_contract_is_loaded_without_reading_sources_or_building_models() -> None:
    program = """
import linecache
import schemas.topics, schemas.partners
from schemas.contract import Contract
print(len(linecache.cache), *(m.__name__ for m in Contract.__subclasses__() if m.__pydantic_complete__))
"""

    assert words_of(program) == ["0", "PersonalData"]  # which is a default itself


def test_a_service_begins_without_a_look_for_garbage_among_what_was_imported() -> None:
    program = """
import gc, os, sys
from services.__main__ import main
os.environ |= {"KVITTERA_POSTGRES_DSN": "postgresql://nobody@127.0.0.1:9/none", "KVITTERA_BOOT_PATIENCE_SECONDS": "0"}
sys.argv[1:] = ["aggregator"]
looks = []
gc.callbacks.append(lambda phase, _: looks.append(phase))
try:
    main()
except SystemExit as end:
    print(end.code, len(looks), gc.get_freeze_count() > 100_000)
"""

    assert words_of(program) == ["2", "0", "True"]
