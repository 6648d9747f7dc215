"""The schema that a replay counts into: beside the live one, one replay at a time, gone when it ends."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from services.chassis.failures import MustStop
from services.chassis.postgres import (
    Database,
    OwnConnection,
    Pool,
    check_migrated,
    connect,
    migrate,
    named_sql,
    open_pool,
)
from services.chassis.settings import Settings

LIVE: Final = "aggregator"
PACKAGE: Final = "services.aggregator"
_SHADOW: Final = "aggregator_shadow"
_LONG: Final = 3600.0


@asynccontextmanager
async def live_tables(settings: Settings) -> AsyncIterator[OwnConnection]:
    """A connection to the live tables that may ask for long.

    Raises:
        MustStop: a migration is missing, or PostgreSQL cannot be reached.
    """
    connection = await connect(settings, LIVE, command_timeout=_LONG)
    try:
        await check_migrated(connection, LIVE, PACKAGE)
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def shadow_schema(settings: Settings, connection: OwnConnection, *, keep: bool) -> AsyncIterator[None]:
    """The schema with empty tables, but for where minutes begin; `keep` leaves it to look at.

    Raises:
        MustStop: another replay runs.
    """
    if not await connection.fetchval("SELECT pg_try_advisory_lock(hashtext($1))", f"{_SHADOW} replay"):
        raise MustStop("another replay runs: it counts into the same tables, so wait for its end")
    sql = named_sql(PACKAGE, "shadow.sql")
    await connection.execute(f'DROP SCHEMA IF EXISTS "{_SHADOW}" CASCADE')
    own = await connect(settings, _SHADOW)
    try:
        await migrate(own, _SHADOW, PACKAGE)
    finally:
        await own.close()
    async with connection.transaction():
        await connection.execute(sql["keep_no_log"])
        await connection.execute(sql["copy_counting"])
    try:
        yield
    finally:
        if not keep:
            await connection.execute(f'DROP SCHEMA "{_SHADOW}" CASCADE')


@asynccontextmanager
async def shadow_tables(settings: Settings) -> AsyncIterator[OwnConnection]:
    """A connection to the tables of the shadow that may ask for long."""
    connection = await connect(settings, _SHADOW, command_timeout=_LONG)
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def shadow_pool(settings: Settings) -> AsyncIterator[Pool]:
    """A pool whose tables are those of the shadow.

    Raises:
        MustStop: PostgreSQL cannot be reached.
    """
    pool = await open_pool(settings, _SHADOW, prepare=partial(_make_incoming, named_sql(PACKAGE)["make_incoming"]))
    try:
        yield pool
    finally:
        pool.terminate()


async def _make_incoming(statement: str, connection: Database) -> None:
    await connection.execute(statement)
