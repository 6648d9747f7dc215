"""docs/upgrades.md walked: a version from before goes on running on the new schema, beside the new one, and back again.

From a commit that stands here, where the checkout has it; from any other by `make test-upgrade FROM=<commit>`.
"""

import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from services.chassis.settings import PREFIX, Settings
from services.demo.place import POLICIES
from services.demo.supervisor import SERVICES
from services.embedded.servers import Servers, running_servers
from tests.faults.running_system import RunningSystem
from tests.faults.waiting import until

_BEFORE = "a05a151e34c9"
FROM = os.environ.get("UPGRADE_FROM", "") or _BEFORE
REMINDERS = os.environ.get("UPGRADE_REMINDERS", "") == "1"
"""Whether reminders are planned: then notifiers from before requests went by month must stand still meanwhile."""


def _is_here(commit: str) -> bool:
    found = subprocess.run(
        ["git", "cat-file", "-e", f"{commit}^{{commit}}"], cwd=Path(__file__).parent, capture_output=True, check=False
    )
    return found.returncode == 0


pytestmark = pytest.mark.skipif(not _is_here(FROM), reason=f"the checkout does not have the commit {FROM}")


def running_from(code: Path) -> dict[str, str]:
    """What makes Python take services from a folder and not from the one that it is started in."""
    return {"PYTHONPATH": str(code), "PYTHONSAFEPATH": "1"}


def commands_of(repository: Path, step: int) -> list[str]:
    """What a step of docs/upgrades.md lets an operator do."""
    [text] = re.findall(rf"^{step}\. .*", (repository / "docs/upgrades.md").read_text(encoding="utf-8"), re.MULTILINE)
    return re.findall(r"`kvittera ([^`]+)`", text)


def make(code: Path, settings: dict[str, str], commands: Sequence[str] = ("topics apply", "migrate")) -> None:
    """Topics and tables by the commands of a version, as an operator gives them."""
    for words in commands:
        done = subprocess.run(
            [sys.executable, "-m", "services", *words.split()],
            env={**os.environ, **settings, **running_from(code)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def old(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The version from before, as its commit has it."""
    folder = tmp_path_factory.mktemp("old")
    archive = folder / "old.tar"
    subprocess.run(["git", "archive", "-o", archive, FROM, "services", "schemas"], cwd=repository, check=True)
    shutil.unpack_archive(archive, folder, filter="data")
    return folder


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """People are asked at any hour, and reminded or not."""
    folder = tmp_path_factory.mktemp("policies")
    hours = (POLICIES / "hours.v1.toml").read_text(encoding="utf-8")
    assert "reminder_days = 3" in hours
    told = hours if REMINDERS else hours.replace("reminder_days = 3", "")
    (folder / "hours.v1.toml").write_text(told, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with running_servers(tmp_path_factory.mktemp("servers")) as servers:
        yield servers


@pytest.fixture(scope="module")
async def system(
    old: Path, policies: Path, servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningSystem]:
    """Tables, topics and services of the version from before."""

    async def made(settings: Settings) -> None:
        where = {PREFIX + "KAFKA_BOOTSTRAP": settings.kafka_bootstrap, PREFIX + "POSTGRES_DSN": servers.postgres.dsn()}
        await asyncio.to_thread(make, old, {**where, PREFIX + "KAFKA_PARTITIONS": "3"})

    further = {**running_from(old), PREFIX + "POLICIES_FOLDER": str(policies)}
    running = await RunningSystem.start(tmp_path_factory.mktemp("system"), servers, made, reached_by={}, **further)
    running.knows_links = False
    try:
        yield running
    finally:
        await running.end()


async def test_a_version_from_before_runs_on_the_new_schema_beside_the_new_one_and_after_it(
    system: RunningSystem, old: Path, repository: Path, record_property: Callable[[str, object], None]
) -> None:
    async def answered(more: int) -> None:
        goal = len(system.recipients.acknowledged) + more

        async def there() -> bool:
            return len(system.recipients.acknowledged) >= goal

        await until(there, f"{more} more answers")

    async with system.load(rate=20):
        await answered(20)
        if REMINDERS:
            system.supervisor.hold("notifier")
        await asyncio.to_thread(make, repository, system.variables, commands_of(repository, 2))
        if not REMINDERS:
            await answered(20)  # of the old version on the new schema
        system.variables |= running_from(repository)
        system.supervisor.release("notifier")
        with ExitStack() as beside:
            for service in SERVICES:
                beside.enter_context(system.second(service))
            await answered(20)  # of both versions beside each other
            for service in SERVICES:
                assert await system.deploy(service) == 0, service
        await answered(20)
    await system.check()
    await asyncio.to_thread(make, repository, system.variables, commands_of(repository, 4))
    record_property("answers", len(system.recipients.acknowledged))

    if REMINDERS:
        return
    system.variables |= running_from(old)  # back: the schema stays
    async with system.load(rate=20):
        for service in SERVICES:
            assert await system.deploy(service) == 0, service
        await answered(20)
    await system.check()
