"""The drill of docs/backup.md: the whole database is lost and restored, then the counters are made anew from Kafka."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from schemas.topics import CARDS, SATISFACTION_CELLS
from services.chassis.kafka import make_admin
from services.chassis.postgres import connect
from services.chassis.topic_admin import apply_topics
from services.doctor.findings import Finding
from services.doctor.postgres import postgres as look_at_postgres
from services.embedded.errors import EmbeddedError
from services.embedded.kafka import EmbeddedKafka
from services.embedded.postgres import EmbeddedPostgres
from services.embedded.servers import Servers
from tests.faults.running_system import RunningSystem
from tests.faults.waiting import until

_COUNTERS = "SELECT sum(delivered + asked + s1 + 2 * s2 + 3 * s3 + 4 * s4 + 5 * s5 + contested + commented) FROM cell"
_KEPT_ROWS = """
INSERT INTO intervention (what, cut, value, starts_on, compare_to)
VALUES ('a second van', 'terminal', 'Årsta', '2026-10-01', '{}');
INSERT INTO alert VALUES ('01983b1e-7d2a-7c7e-9d57-0e8f5bb2c001', 'terminal', 'Årsta', 20727, 20720, '{}', now());
INSERT INTO judged_day VALUES ('terminal', 20727);
INSERT INTO digest_taken_care VALUES ('terminal', 'Årsta', '2026-10-01', 'anna', 'called', now());
INSERT INTO closed_month VALUES (681, 1, '', now());
INSERT INTO closed_cell VALUES (681, 1, 'terminal', 'Årsta', 1, 2, 3, 4, 5, 20, 18, 2, 0, 0, 3, 1, 17, 16);
INSERT INTO closed_complaint VALUES (681, 1, 'late', 'carrier', 2);
INSERT INTO closed_question VALUES (681, 1, 'terminal', 'Årsta', 'recommend', 9, 4);
INSERT INTO closed_position VALUES (681, 1, 'response.recorded.v1', 0, 'kvittera',
                                    '01983b1e-7d2a-7c7e-9d57-0e8f5bb2c002', 20);
INSERT INTO closed_cut VALUES (681, 1, 'terminal', 31);
INSERT INTO partner VALUES ('fjallbod', 'partner', '{Fjällbod}', '{method}', 'month', 'week', 'lot', 'kv_abc', 'secret',
                            now(), now(), now());
INSERT INTO partner_release VALUES ('fjallbod', '01983b1e-7d2a-7c7e-9d57-0e8f5bb2c001', '2026-09', '{home_day}', 1,
                                    false, 20720, 'Fjällbod', 4);
INSERT INTO partner_tried VALUES ('fjallbod', '01983b1e-7d2a-7c7e-9d57-0e8f5bb2c001', false);
INSERT INTO partner_cell VALUES ('fjallbod', 'total|||month|2026-09', 2, '{}', now(), 2);
"""
_MADE_ANEW = frozenset(
    [
        "unit",
        "answer",
        "decision",
        "question",
        "cell",
        "touched",
        "counting",
        "counted_cut",
        "complaint",
        "audit",
        "disruption",
        "sign_out",
        "progress",
        "outbox",
        "outbox_waiting",
        "migration",
        "partner_quiet",  # without its rows each window is read once more
        "zone_data",  # hours come anew by the data of now
    ]
)
"""What topics, settings, migrations and a start fill: docs/backup.md must save all rows of any other table."""


@pytest.fixture(scope="module")
async def system(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningSystem]:
    """As for the other faults, with an archive of the write-ahead log."""
    folder = tmp_path_factory.mktemp("system")
    postgres = EmbeddedPostgres(folder / "servers" / "postgres")
    kafka = EmbeddedKafka(folder / "servers" / "kafka")
    postgres.prepare()
    archive = archive_of(postgres)
    archive.mkdir()
    script = shutil.copy(repository / "deploy/backup/archive.sh", archive)
    give_to_server(postgres, archive)
    postgres._settings |= {"archive_mode": "on", "archive_command": f"{script} %p {archive}/%f"}
    try:
        kafka.start()
        postgres.start()
        running = await RunningSystem.start(folder, Servers(postgres, kafka))
        try:
            yield running
        finally:
            await running.end()
    finally:
        kafka.stop()
        postgres.stop()


def archive_of(postgres: EmbeddedPostgres) -> Path:
    return postgres.data.parent / "wal-archive"


def give_to_server(postgres: EmbeddedPostgres, folder: Path) -> None:
    """PostgreSQL may run as another account than we do."""
    if postgres._account is not None:
        subprocess.run(["chown", "-R", postgres._account.name, folder], check=True)


async def run_script(repository: Path, postgres: EmbeddedPostgres, name: str, *words: str | Path) -> None:
    """A script of deploy/backup/, with PostgreSQL's programs on the path."""
    path = f"{postgres.binary('')}{os.pathsep}{os.environ['PATH']}"
    script = repository / "deploy/backup" / name
    done = await asyncio.to_thread(
        subprocess.run, [script, *words], env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def commands_of(repository: Path, heading: str) -> list[str]:
    """The blocks of commands of a section of docs/backup.md."""
    section = (repository / "docs/backup.md").read_text(encoding="utf-8").partition(heading)[2].partition("\n## ")[0]
    return [textwrap.dedent(block) for block in re.findall(r"```sh\n(.*?)```", section, re.DOTALL)]


async def run_commands(system: RunningSystem, folder: Path, commands: str) -> None:
    """Commands as an operator copies them, with PostgreSQL's programs and ours on the path."""
    found = [str(system.servers.postgres.binary("")), str(Path(sys.executable).parent), os.environ["PATH"]]
    done = await asyncio.to_thread(
        subprocess.run,
        ["bash", "-e", "-c", commands],
        cwd=folder,
        env={**os.environ, **system.variables, "PATH": os.pathsep.join(found)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


async def keep_what_no_topic_holds(system: RunningSystem) -> None:
    connection = await connect(system.settings, "aggregator")
    await connection.execute(_KEPT_ROWS)
    await connection.close()


async def what_no_topic_holds(system: RunningSystem) -> dict[str, str | None]:
    """All rows of each such table; None where there are none."""
    connection = await connect(system.settings, "aggregator")
    tables = await connection.fetch(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'aggregator'::regnamespace"
    )
    rows = {
        name: await connection.fetchval(f'SELECT string_agg(t::text, chr(10) ORDER BY t::text) FROM "{name}" AS t')
        for (name,) in tables
        if name not in _MADE_ANEW
    }
    await connection.close()
    return rows


async def archive_everything(system: RunningSystem) -> None:
    connection = await connect(system.settings, "public")
    file = await connection.fetchval("SELECT pg_walfile_name(pg_switch_wal())")

    async def archived() -> bool:
        last: str | None = await connection.fetchval("SELECT last_archived_wal FROM pg_stat_archiver")
        return last is not None and last >= file

    await until(archived, "the log to be archived")
    await connection.close()


async def test_a_lost_database_is_restored_to_its_last_moment_and_counters_are_made_anew_from_kafka(
    system: RunningSystem, repository: Path, tmp_path: Path
) -> None:
    postgres, base = system.servers.postgres, tmp_path / "base"
    async with system.load(rate=30):
        await asyncio.sleep(2)
        await run_script(repository, postgres, "base.sh", base, postgres.dsn())
        saved = len(system.recipients.acknowledged)
        await asyncio.sleep(2)
    await system.check()  # what is counted after the log is archived would get its version twice
    assert len(system.recipients.acknowledged) > saved, "there are answers that the base backup does not hold"
    counted = await system.number("aggregator", _COUNTERS)
    await archive_everything(system)

    assert Finding("PostgreSQL archive", "well", "the log is archived") in await look_at_postgres(system.settings)

    postgres.kill()
    shutil.rmtree(postgres.data)
    await run_script(repository, postgres, "restore.sh", base, archive_of(postgres), postgres.data)
    give_to_server(postgres, postgres.data)
    away = archive_of(postgres).rename(postgres.data.parent / "not-mounted")
    with pytest.raises(EmbeddedError, match="could not restore file"):
        await system.restart_postgres()
    away.rename(archive_of(postgres))
    await system.restart_postgres()

    await system.check()
    assert await system.number("aggregator", _COUNTERS) == counted

    system.supervisor.hold("aggregator")
    await keep_what_no_topic_holds(system)
    kept = await what_no_topic_holds(system)
    assert [name for name, rows in kept.items() if rows is None] == []
    save, make_anew = commands_of(repository, "## Counters anew")
    await run_commands(system, tmp_path, save)
    await run_commands(system, tmp_path, make_anew)
    assert await what_no_topic_holds(system) == kept
    await make_cells_topic_anew(system)
    system.supervisor.release("aggregator")

    await system.check()
    assert await system.number("aggregator", _COUNTERS) == counted


async def make_cells_topic_anew(system: RunningSystem) -> None:
    """Versions of cells begin anew, so their topic has to as well."""
    admin = make_admin(system.settings)
    await admin.start()
    await admin.delete_topics([SATISFACTION_CELLS])

    async def gone() -> bool:
        return SATISFACTION_CELLS not in await admin.list_topics()

    await until(gone, "the topic to be gone")
    await admin.close()
    assert await apply_topics(system.settings, tuple(CARDS.values())) == [SATISFACTION_CELLS]
    system.topics.forget_cells()
