"""Servers for all tests: real Kafka and PostgreSQL, started once a run; a fresh database for every test."""

import gc
import os
import uuid
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import hypothesis
import pytest
import structlog
from pydantic import SecretStr
from xdist.remote import Producer

from services.chassis.postgres import Pool, migrate, open_pool
from services.chassis.settings import Settings
from services.embedded.servers import running_servers
from tests.container_servers import BothServers, container_servers
from tests.lanes import Lanes, rank_of
from tests.tables import empty_pool, forget, remember

# Properties are judged by what they find, not by the clock of a busy machine. A plain run draws the same examples each
# time, so that it is red for what was changed and never by chance; DRAW_ANEW=1 looks for what nobody has seen yet.
hypothesis.settings.register_profile(
    "kvittera", deadline=None, database=None, derandomize="DRAW_ANEW" not in os.environ
)
hypothesis.settings.load_profile("kvittera")

# Until a service sets logs up, tracebacks come in colours and with all their locals: half a second of work for each.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)

SEALING_KEY = "5e" * 32
SERVICES = ("notifier", "survey", "aggregator")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--servers",
        choices=("embedded", "containers"),
        default="embedded",
        help="where Kafka and PostgreSQL of the tests come from; containers need Docker",
    )


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Thousands of tests and all our modules stay to the end: no look for garbage needs to walk over them."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: rank_of(item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Lanes:
    config.option.loadscopereorder = False  # by number of tests, which says nothing about how long they take
    return Lanes(config, log)


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[BothServers]:
    if request.config.getoption("--servers") == "containers":
        with container_servers() as contained:
            yield contained
        return
    with running_servers(tmp_path_factory.mktemp("servers"), fsync=False) as running:
        yield running


@pytest.fixture(scope="session")
async def template_database(servers: BothServers) -> str:
    """A database with all migrations; tests get copies of it."""
    admin = await asyncpg.connect(servers.postgres.dsn("postgres"))
    await admin.execute("CREATE DATABASE template_kvittera")
    await admin.close()
    connection = await asyncpg.connect(servers.postgres.dsn("template_kvittera"))
    for service in SERVICES:
        await migrate(connection, service, f"services.{service}")
        await remember(connection, service)
    await connection.close()
    return "template_kvittera"


@pytest.fixture
def settings(request: pytest.FixtureRequest) -> Settings:
    """Settings for a database and consumer groups of this test's own, or of its module if that is marked `service`."""
    shared = request.node.get_closest_marker("service")
    found: Settings = request.getfixturevalue("shared_settings" if shared else "own_settings")
    return found


@pytest.fixture
async def own_settings(servers: BothServers, template_database: str) -> AsyncIterator[Settings]:
    async with own_database(servers, template_database) as own:
        yield own


@pytest.fixture(scope="module")
async def shared_settings(servers: BothServers, template_database: str) -> AsyncIterator[Settings]:
    """Settings for a database that the tests of a module share; `tests.tables.empty_pool` clears it for each."""
    async with own_database(servers, template_database) as shared:
        yield shared


@pytest.fixture
async def pool(request: pytest.FixtureRequest, settings: Settings) -> AsyncIterator[Pool]:
    """The tables of the service that the module's marker `service` names, as its migrations leave them."""
    async with empty_pool(settings, request.node.get_closest_marker("service").args[0]) as empty:
        yield empty


@asynccontextmanager
async def own_database(servers: BothServers, template_database: str) -> AsyncIterator[Settings]:
    """A copy of the template, dropped at the end."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    admin = await asyncpg.connect(servers.postgres.dsn("postgres"))
    await admin.execute(f"CREATE DATABASE {name} TEMPLATE {template_database} STRATEGY FILE_COPY")
    settings = Settings(
        kafka_bootstrap=servers.kafka.bootstrap,
        postgres_dsn=SecretStr(servers.postgres.dsn(name)),
        sealing_key=SecretStr(SEALING_KEY),
        allow_unsafe_postgres=True,
        kafka_partitions=2,
        boot_patience_seconds=20,
    )
    yield settings
    forget(settings)
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


@pytest.fixture
async def notifier_pool(settings: Settings) -> AsyncIterator[Pool]:
    pool = await open_pool(settings, "notifier")
    yield pool
    pool.terminate()


@pytest.fixture(scope="session")
def repository() -> Path:
    return Path(__file__).parent.parent
