"""Whole tables: making them anew, what is stored in them, and whether anything was written."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.chassis.months import Months
from services.chassis.postgres import Database, Pool, connect, migrate, named_sql, open_pool
from services.chassis.settings import Settings
from services.notifier.retention import months
from tests.builders import NOON


@asynccontextmanager
async def empty_pool(settings: Settings, service: str) -> AsyncIterator[Pool]:
    """A pool on a service's schema made anew: quicker than a database, and no test sees another's changes.

    Connections of the aggregator are made ready to count, as the service does.
    """
    connection = await connect(settings, service)
    await connection.execute(f'DROP SCHEMA "{service}" CASCADE')
    await migrate(connection, service, f"services.{service}")
    if service == "notifier":
        # Tests that decide on a fixed day have room for it also where the machine's clock is long before it.
        requests = months(settings).tables[1]
        await Months(service, (requests,)).prepare(connection, NOON)
    await connection.close()
    pool = await open_pool(settings, service, prepare=make_incoming if service == "aggregator" else None)
    yield pool
    pool.terminate()


async def make_incoming(connection: Database) -> None:
    await connection.execute(named_sql("services.aggregator")["make_incoming"])


async def everything_stored(pool: Pool) -> str:
    """Every row of every table of the pool's schema as text, byte columns by their letters and in hex."""
    texts: list[str] = []
    for table in await _tables(pool):
        for row in await pool.fetch(f'SELECT * FROM "{table}"'):
            texts += [f"{v.decode('latin-1')} {v.hex()}" if isinstance(v, bytes) else str(v) for v in row.values()]
    return "\n".join(texts)


async def footprint(pool: Pool) -> dict[str, list[str]]:
    """Every row of every table with the transaction that wrote it: equal before and after means nothing was written."""
    return {
        table: [str(tuple(r.values())) for r in await pool.fetch(f'SELECT xmin, ctid, t.* FROM "{table}" AS t')]
        for table in await _tables(pool)
    }


async def _tables(pool: Pool) -> list[str]:
    rows = await pool.fetch("SELECT tablename FROM pg_tables WHERE schemaname = current_schema() ORDER BY 1")
    return [r["tablename"] for r in rows]
