"""PostgreSQL: pool, durability check, numbered migrations, named SQL."""

import asyncio
import hashlib
import importlib.resources
import re
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from typing import Any, Final, TypeAlias

import asyncpg
import structlog
from asyncpg.connect_utils import SessionAttribute
from asyncpg.pool import PoolConnectionProxy

from services.chassis.failures import MustStop, is_transient
from services.chassis.known_server import KnownServer
from services.chassis.pauses import pauses
from services.chassis.settings import Settings
from services.chassis.silence import SERVER_LOOKS, end_when_silent
from services.chassis.waiting import waits_for

log = structlog.get_logger()

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Database: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
"""A connection, from a pool or of its own."""
OwnConnection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
"""A connection of its own, not from a pool."""
LONG_READ: Final = 24 * 3600.0
"""Seconds for a statement of a proof that reads every row, 20 µs each: a connection that is gone ends by itself."""
_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)
_MIGRATION = re.compile(r"^(\d{3})_\w+\.sql$")


class Connection(asyncpg.Connection):
    """A connection that the pool hands on without a reset round trip: we leave no session state behind."""

    def get_reset_query(self) -> str:
        """No reset needed."""
        return ""


def named_sql(package: str, *files: str) -> Mapping[str, str]:
    """The statements of `.sql` files (none given: queries.sql), by the word after each `-- name: `."""
    folder = importlib.resources.files(package) / "sql"
    named: dict[str, str] = {}
    for file in files or ("queries.sql",):
        parts = _NAME.split((folder / file).read_text(encoding="utf-8"))[1:]
        named |= zip(parts[::2], (p.strip() for p in parts[1::2]), strict=True)
    return named


async def connect(
    settings: Settings, schema: str, *, known: KnownServer | None = None, **options: Any
) -> OwnConnection:
    """One connection of its own, in the schema of a service; to the known server, where there is one."""
    dsn, session = settings.postgres_dsn.get_secret_value(), _session(schema, known)
    return await _connect_to_primary(dsn, known=known, server_settings=session, timeout=10, **options)


@asynccontextmanager
async def tables_of(settings: Settings, service: str, **options: Any) -> AsyncIterator[OwnConnection]:
    """One connection of its own to the tables of a service, for as long as a command takes.

    Raises:
        MustStop: the tables lack a migration.
    """
    connection = await connect(settings, service, **options)
    try:
        await check_migrated(connection, service, f"services.{service}")
        yield connection
    finally:
        await connection.close()


def fault(error: Exception) -> str:
    """What is wrong with a connection, in words where the error's name tells too little."""
    if isinstance(error, socket.gaierror):
        return "its host has no address; special characters of the password are written as %40 and the like"
    return type(error).__name__


async def _connect_to_primary(dsn: str, *, known: KnownServer | None, **options: Any) -> OwnConnection:
    """A connection to a server that is not recovering.

    A standby, or a server that is being restored, shows an earlier state to whoever only reads: what is published
    from that goes back behind what was published before. With several hosts in the address, the next one is tried.

    Raises:
        MustStop: the address cannot be read.
    """
    try:
        connection: OwnConnection = await asyncpg.connect(dsn, **options, target_session_attrs=SessionAttribute.primary)
    except asyncpg.TargetServerAttributeNotMatched:
        raise asyncpg.CannotConnectNowError("PostgreSQL is a standby or recovers: it only reads") from None
    except ssl.SSLError:  # a certificate that does not hold, which is a ValueError too
        raise
    except ValueError:  # what the driver says of it may hold the password
        raise MustStop(
            "wrong setting KVITTERA_POSTGRES_DSN: give an address such as postgresql://user@host:5432/database"
        ) from None
    end_when_silent(connection._transport)  # type: ignore[attr-defined]  # noqa: SLF001 - asyncpg has no setting for it
    if known is not None:
        try:
            await known.recognize(connection)
        except BaseException:
            connection.terminate()
            raise
    return connection


Prepare = Callable[[Database], Coroutine[Any, Any, None]]


async def open_pool(
    settings: Settings, schema: str, *, prepare: Prepare | None = None, known: KnownServer | None = None
) -> Pool:
    """A pool for one service, after checking that PostgreSQL keeps what it acknowledges.

    `prepare` is run once on every new connection; `known` lets only those to the first one's server be used.

    Raises:
        MustStop: not reachable in time, not durable, or migrations are missing.
    """
    pool = await _when_reachable(settings, schema, settings.postgres_connections, {}, prepare, known=known)
    async with pool.acquire() as connection:
        if not settings.allow_unsafe_postgres:
            await check_durability(connection)
    return pool


async def open_look_up_pool(
    settings: Settings, schema: str, connections: int, *, known: KnownServer | None = None
) -> Pool:
    """A pool for statements that find a few rows by their keys, hundreds of times a second.

    PostgreSQL plans each of them once for a connection; by itself it plans small batches anew each time, which takes
    longer than the work. As such a plan outlives any size of the tables, it goes by indexes only. For large batches
    it is wrong: it takes them for small ones.

    Raises:
        MustStop: not reachable in time.
    """
    session = {"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off"}
    return await _when_reachable(settings, schema, connections, session, known=known)


async def _when_reachable(
    settings: Settings,
    schema: str,
    connections: int,
    session: Mapping[str, str],
    prepare: Prepare | None = None,
    *,
    known: KnownServer | None,
) -> Pool:
    deadline = asyncio.get_running_loop().time() + settings.boot_patience_seconds
    tell = waits_for("PostgreSQL", "KVITTERA_POSTGRES_DSN")
    for pause in pauses(first=0.1, longest=2):
        try:
            pool: Pool = await asyncpg.create_pool(
                settings.postgres_dsn.get_secret_value(),
                min_size=1,
                max_size=connections,
                connection_class=Connection,
                server_settings={**_session(schema, known), **session},
                command_timeout=60,
                init=prepare,
                connect=partial(_connect_to_primary, known=known),
            )
        except asyncpg.InvalidCatalogNameError as error:
            raise MustStop(
                f"PostgreSQL answers but {error}: create the database, then run `kvittera migrate`"
            ) from None
        except (OSError, asyncpg.PostgresError) as error:
            if not is_transient(error) or asyncio.get_running_loop().time() > deadline:
                raise MustStop(
                    f"PostgreSQL cannot be used ({fault(error)}); check KVITTERA_POSTGRES_DSN and that it runs"
                ) from None
            tell(error)
            await asyncio.sleep(pause)
        else:
            return pool
    raise AssertionError("pauses never end")


async def database_time(connection: Database) -> datetime:
    """The moment by the one clock that all processes share, and that is read again when leases and hours are judged."""
    moment: datetime = await connection.fetchval("SELECT clock_timestamp()")
    return moment


def _session(schema: str, known: KnownServer | None) -> dict[str, str]:
    # Services know their server, commands do not: whoever asks what runs must not take the one for the other.
    name = f"kvittera-{schema}" if known is not None else f"kvittera-{schema}-command"
    # No statement may hold back others for ever, and a forgotten transaction ends by itself.
    return {
        "search_path": schema,
        "application_name": name,
        "timezone": "UTC",
        "idle_in_transaction_session_timeout": "60s",
        "jit": "off",
        **SERVER_LOOKS,
    }


async def check_durability(connection: Database) -> None:
    """Refuse a PostgreSQL that may forget what it acknowledged.

    Raises:
        MustStop: names each setting that must change.
    """
    wrong = []
    for name in ("fsync", "synchronous_commit", "full_page_writes"):
        value = await connection.fetchval(f"SHOW {name}")
        if value == "off":
            wrong.append(f"{name}={value}")
    if wrong:
        raise MustStop(f"PostgreSQL would lose acknowledged answers in a crash: {', '.join(wrong)}; set it to on")


async def migrate(connection: Database, schema: str, package: str) -> list[str]:
    """Bring one service's schema up to date: the chassis' tables, then the service's numbered files.

    Each file is a transaction of its own, so that a lock ends with the file that needs it; what failed is begun again
    at its file. Returns the names applied now. Two callers at once are safe: an advisory lock lets one go first.

    Raises:
        MustStop: a file that was applied earlier has changed since.
    """
    lock = f"kvittera migrate {schema}"
    await connection.execute("SELECT pg_advisory_lock(hashtextextended($1, 0))", lock)
    try:
        await connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
        await connection.execute(
            f'CREATE TABLE IF NOT EXISTS "{schema}".migration (name text PRIMARY KEY, sha256 text NOT NULL,'
            " applied_at timestamptz NOT NULL DEFAULT now())"
        )
        return [n for n, text in migrations(package) if await _apply(connection, schema, n, text)]
    finally:
        await connection.execute("SELECT pg_advisory_unlock(hashtextextended($1, 0))", lock)


async def _apply(connection: Database, schema: str, name: str, text: str) -> bool:
    digest = hashlib.sha256(text.encode()).hexdigest()
    async with connection.transaction():
        await connection.execute(f'SET LOCAL search_path TO "{schema}"')
        applied = await connection.fetchval("SELECT sha256 FROM migration WHERE name = $1", name)
        if applied is None:
            await connection.execute(text)
            await connection.execute("INSERT INTO migration (name, sha256) VALUES ($1, $2)", name, digest)
        elif applied != digest:
            raise MustStop(
                f"migration {schema}/{name} was applied before and has changed since; add a new file instead"
            )
    return applied is None


async def check_migrated(connection: Database, schema: str, package: str) -> None:
    """Refuse to run on a schema, the connection's own, that lacks a migration.

    Raises:
        MustStop: says which, and what to run.
    """
    known = await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", f'"{schema}".migration')
    done = {r["name"] for r in await connection.fetch("SELECT name FROM migration")} if known else set()
    missing = [name for name, _ in migrations(package) if name not in done]
    if missing:
        lacks = ", ".join(missing) if done else "every table"
        raise MustStop(f"PostgreSQL schema {schema} lacks {lacks}: run `kvittera migrate`")


def migrations(package: str) -> list[tuple[str, str]]:
    """Names and texts of the chassis' and the package's migrations, in order."""
    found = []
    for folder in ("services.chassis", package):
        files = (importlib.resources.files(folder) / "sql").iterdir()
        found += sorted((f.name, f.read_text(encoding="utf-8")) for f in files if _MIGRATION.match(f.name))
    return found
