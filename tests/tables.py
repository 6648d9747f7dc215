"""Whole tables: making them anew, what is stored in them, and whether anything was written."""

import io
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from services.chassis.months import Months
from services.chassis.postgres import Database, OwnConnection, Pool, connect, migrate, named_sql, open_pool
from services.chassis.settings import Settings
from services.notifier.retention import months
from tests.builders import NOON


@asynccontextmanager
async def empty_pool(settings: Settings, service: str) -> AsyncIterator[Pool]:
    """A pool on a service's schema as its migrations leave it: quicker than a database, and no test sees others' work.

    Connections of the aggregator are made ready to count, as the service does.
    """
    made = await _made(settings, service)
    if made.catalogue == await _catalogue(made.connection):
        await _put_back(made)
    else:
        await _make_anew(made, settings, service)
    pool = await open_pool(settings, service, prepare=make_incoming if service == "aggregator" else None)
    yield pool
    pool.terminate()


def forget(settings: Settings) -> None:
    """Leave a database that is about to be dropped."""
    dsn = settings.postgres_dsn.get_secret_value()
    for key in [key for key in _MADE if key[0] == dsn]:
        _MADE.pop(key).connection.terminate()


@dataclass(slots=True)
class _Made:
    """A schema as the last test found it: what its catalogue held, and the rows that migrations write, by table.

    Its connection stays, since PostgreSQL learns of a hundred tables anew on each.
    """

    connection: OwnConnection
    catalogue: str | None = None
    seeds: Mapping[str, bytes] = field(default_factory=dict)


_MADE: dict[tuple[str, str], _Made] = {}
_MIGRATED: dict[str, tuple[str | None, Mapping[str, bytes]]] = {}
"""Catalogue and rows of each service in the database that all others are copies of."""
_CATALOGUE = """
SELECT md5(string_agg(what, ' ' ORDER BY what)) FROM (
    SELECT 'c' || oid || ' ' || xmin AS what FROM pg_class WHERE relnamespace = current_schema()::regnamespace
    UNION ALL SELECT 'p' || oid || ' ' || xmin FROM pg_proc WHERE pronamespace = current_schema()::regnamespace
    UNION ALL SELECT 'o' || oid || ' ' || xmin FROM pg_constraint WHERE connamespace = current_schema()::regnamespace
    UNION ALL SELECT 't' || t.oid || ' ' || t.xmin FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
              WHERE c.relnamespace = current_schema()::regnamespace
    UNION ALL SELECT 'a' || a.attrelid || ' ' || a.attnum || ' ' || a.xmin FROM pg_attribute AS a
              JOIN pg_class AS c ON c.oid = a.attrelid WHERE c.relnamespace = current_schema()::regnamespace
    UNION ALL SELECT 'i' || i.inhrelid || ' ' || i.xmin FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
              WHERE c.relnamespace = current_schema()::regnamespace
) AS catalogue
"""
"""Whatever a test changes of the tables themselves shows in this."""
_NUMBERS_ANEW = """
SELECT setval(format('%I.%I', schemaname, sequencename), start_value, false) FROM pg_sequences
WHERE schemaname = current_schema() AND last_value IS NOT NULL
"""
_NOTHING_KNOWN = """
DELETE FROM pg_statistic WHERE starelid IN (
    SELECT oid FROM pg_class WHERE relnamespace = current_schema()::regnamespace
)
"""
"""What PostgreSQL counted of tables that were full."""


async def _made(settings: Settings, service: str) -> _Made:
    key = settings.postgres_dsn.get_secret_value(), service
    known = _MADE.get(key)
    if known is None or known.connection.is_closed():
        known = _MADE[key] = _Made(await connect(settings, service), *_MIGRATED.get(service, (None, {})))
        if known.catalogue == await _catalogue(known.connection):
            await _make_room(known, settings, service)
    return known


async def remember(connection: Database, service: str) -> None:
    """Learn what migrations leave of a service, from the database that all others are copied from."""
    await connection.execute(f'SET search_path TO "{service}"')
    _MIGRATED[service] = await _catalogue(connection), await _seeds(connection)


async def _catalogue(connection: Database) -> str | None:
    found: str | None = await connection.fetchval(_CATALOGUE)
    return found


async def _make_anew(made: _Made, settings: Settings, service: str) -> None:
    await made.connection.execute(f'DROP SCHEMA "{service}" CASCADE')
    await migrate(made.connection, service, f"services.{service}")
    made.seeds = await _seeds(made.connection)
    await _make_room(made, settings, service)


async def _make_room(made: _Made, settings: Settings, service: str) -> None:
    if service == "notifier":
        # Tests that decide on a fixed day have room for it also where the machine's clock is long before it.
        requests = months(settings).tables[1]
        await Months(service, (requests,)).prepare(made.connection, NOON)
    made.catalogue = await _catalogue(made.connection)


async def _seeds(connection: Database) -> Mapping[str, bytes]:
    return {table: await _rows(connection, table) for table in await _filled(connection)}


async def _put_back(made: _Made) -> None:
    """Empty what a test has filled, and write what migrations had written."""
    connection = made.connection
    async with connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")  # no trigger counts it or forbids it
        if filled := [table for table in await _filled(connection) if table not in made.seeds]:
            await connection.execute(f"TRUNCATE {', '.join(filled)} CASCADE")
        await connection.execute(_NUMBERS_ANEW)
        await connection.execute(_NOTHING_KNOWN)
        for table, rows in made.seeds.items():
            if await _rows(connection, table) != rows:
                await connection.execute(f"DELETE FROM {table}")
                await connection.copy_to_table(table, source=io.BytesIO(rows), format="binary")
    if filled:
        made.catalogue = await _catalogue(connection)


async def _rows(connection: Database, table: str) -> bytes:
    rows = io.BytesIO()
    await connection.copy_from_table(table, output=rows, format="binary")
    return rows.getvalue()


async def _filled(connection: Database) -> list[str]:
    tables = [
        row["relname"]
        for row in await connection.fetch(
            "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')"
            " AND NOT relispartition ORDER BY relname"
        )
    ]
    looks = " UNION ALL ".join(f"SELECT '{t}' AS name WHERE EXISTS (SELECT FROM \"{t}\")" for t in tables)
    return [row["name"] for row in await connection.fetch(looks)]


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
