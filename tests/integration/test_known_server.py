"""PostgreSQL's address leads to another server: nobody works there with what is remembered of the first one."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import asyncpg
import pytest
from pydantic import SecretStr

from services.aggregator.partners.publishing import PartnerPublisher
from services.aggregator.publishing.publisher import Publisher
from services.chassis.failures import MustStop
from services.chassis.known_server import KnownServer
from services.chassis.metrics import Metrics
from services.chassis.outbox import Relay
from services.chassis.postgres import connect, migrate, open_pool
from services.chassis.settings import PREFIX, Settings
from services.embedded import postgres_files
from services.embedded.child import end_child, spawn_child
from services.embedded.ports import free_port
from services.embedded.postgres import EmbeddedPostgres
from tests.cut_servers import postgres_by_line
from tests.harness import until
from tests.network import Line

NOBODY = "127.0.0.1:1"
SERVICES = ("notifier", "survey", "aggregator")


@dataclass(frozen=True, slots=True)
class Moving:
    """Settings whose PostgreSQL is reached by a line, which can lead to another server with the same tables."""

    settings: Settings
    line: Line
    other: EmbeddedPostgres

    def move(self) -> None:
        self.line.to = self.other.port

    async def identifiers(self) -> list[str]:
        """Of the server that the line leads to now, then of the other one."""
        found = []
        for dsn in (self.settings.postgres_dsn.get_secret_value(), self.other.dsn("postgres")):
            connection = await asyncpg.connect(dsn)
            found.append(str(await connection.fetchval("SELECT system_identifier FROM pg_control_system()")))
            await connection.close()
        return found


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A server that is not begun from the same kept data as the tests' own: those are the same one to everybody."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("other"), fsync=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(postgres_files, "copy_kept", lambda *_: False)
        patch.setattr(postgres_files, "keep", lambda *_: None)
        server.start()
    try:
        yield server
    finally:
        server.stop("immediate")


@pytest.fixture
async def moving(settings: Settings, other: EmbeddedPostgres) -> AsyncIterator[Moving]:
    dsn = settings.postgres_dsn.get_secret_value()
    database = urlsplit(dsn).path.strip("/")
    admin = await asyncpg.connect(other.dsn())
    await admin.execute(f"CREATE DATABASE {database}")
    await admin.close()
    for service in SERVICES:
        there = settings.model_copy(update={"postgres_dsn": SecretStr(other.dsn(database))})
        connection = await connect(there, service)
        await migrate(connection, service, f"services.{service}")
        await connection.close()
    async with postgres_by_line(dsn) as (line, by_line):
        yield Moving(settings.model_copy(update={"postgres_dsn": SecretStr(by_line)}), line, other)


def begun(service: str, settings: Settings, port: int, log: Path) -> subprocess.Popen[bytes]:
    """A service of its own, whose Kafka is away."""
    own = {
        "KAFKA_BOOTSTRAP": NOBODY,
        "POSTGRES_DSN": settings.postgres_dsn.get_secret_value(),
        "ALLOW_UNSAFE_POSTGRES": "true",
        "DRAIN_SECONDS": "2",  # what waits for Kafka is not waited for
        "SEALING_KEY": settings.sealing_key.get_secret_value(),
        f"{service.upper()}_PORT": str(port),
    }
    env = {**os.environ, **{PREFIX + name: text for name, text in own.items()}}
    return spawn_child([sys.executable, "-m", "services", service], log=log, env=env)


@pytest.mark.skipif("LONG_CUTS" not in os.environ, reason="whole services on a quiet machine: make test-faults")
@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_stops_when_its_connections_break_and_lead_to_another_server(
    moving: Moving, tmp_path: Path, service: str
) -> None:
    first, other = await moving.identifiers()
    port, log = free_port(), tmp_path / "log"
    process = begun(service, moving.settings, port, log)

    async def lives() -> bool:
        assert process.poll() is None, log.read_text()[-2000:]
        try:
            async with aiohttp.request("GET", f"http://127.0.0.1:{port}/health/live") as reply:
                return reply.status == 200
        except aiohttp.ClientError:
            return False

    try:
        await until(lives, seconds=30)
        moving.move()
        moving.line.forget(server_knows=True)
        code = await asyncio.to_thread(process.wait, 90)
    except subprocess.TimeoutExpired:
        pytest.fail(f"it is still there: {log.read_text()[-4000:]}")
    finally:
        await asyncio.to_thread(end_child, process, signal.SIGTERM, 10)
    assert code != 0
    assert f"PostgreSQL is another server than before (system identifier {first}, now {other})" in log.read_text()


async def test_a_pool_whose_new_connections_lead_elsewhere_gives_none_of_them_out(moving: Moving) -> None:
    known = KnownServer()
    pool = await open_pool(moving.settings, "survey", known=known)
    async with pool.acquire() as old:
        moving.move()
        with pytest.raises(asyncpg.CannotConnectNowError, match="another server"):
            async with pool.acquire():
                pass
        assert await old.fetchval("SELECT count(*) FROM invitation") == 0
        with pytest.raises(asyncpg.CannotConnectNowError, match="another server"):
            await connect(moving.settings, "survey", known=known)
    with pytest.raises(MustStop, match="another server"):
        await known.watch(asyncio.Event())
    pool.terminate()


@pytest.mark.parametrize(
    "publishing",
    [
        lambda settings, known: Relay(settings, "survey", Metrics(), known),
        lambda settings, known: Publisher(settings, Metrics(), known=known),
        lambda settings, known: PartnerPublisher(settings, Metrics(), lambda: True, known=known),
    ],
    ids=["events", "cells", "partners"],
)
async def test_nothing_is_published_of_another_server(
    moving: Moving, publishing: Callable[[Settings, KnownServer], Relay | Publisher | PartnerPublisher]
) -> None:
    known, stop = KnownServer(), asyncio.Event()
    await (await connect(moving.settings, "survey", known=known)).close()
    moving.move()
    work = asyncio.create_task(publishing(moving.settings, known).run(stop))
    with pytest.raises(MustStop, match="another server"):
        async with asyncio.timeout(10):
            await known.watch(stop)
    stop.set()
    await work


async def test_the_same_server_after_its_restart_is_known(moving: Moving) -> None:
    known = KnownServer()
    moving.move()
    await (await connect(moving.settings, "survey", known=known)).close()
    moving.other.stop("immediate")
    moving.other.start()
    await (await connect(moving.settings, "survey", known=known)).close()
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(1, stop.set)
    await known.watch(stop)


async def test_an_account_that_is_not_told_the_identifier_connects_all_the_same(moving: Moving) -> None:
    database = urlsplit(moving.settings.postgres_dsn.get_secret_value()).path.strip("/")
    admin = await asyncpg.connect(moving.other.dsn(database))
    await admin.execute("CREATE ROLE plain LOGIN")
    dsn = moving.other.dsn(database).replace("postgres@", "plain@")
    as_plain = moving.settings.model_copy(update={"postgres_dsn": SecretStr(dsn)})
    plain = await connect(as_plain, "survey")
    assert await plain.fetchval("SELECT system_identifier FROM pg_control_system()") > 0, "anybody may ask"
    await plain.close()
    await admin.execute("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM public")
    await admin.close()
    known = KnownServer()
    for _ in range(2):
        await (await connect(as_plain, "survey", known=known)).close()
