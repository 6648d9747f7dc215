"""Every named statement is one that PostgreSQL understands, with the tables as the migrations leave them."""

from pathlib import Path

import asyncpg
import pytest

from services.chassis.postgres import Database, connect, migrate, named_sql
from services.chassis.settings import Settings


@pytest.mark.parametrize("service", ["notifier", "survey", "aggregator"])
async def test_postgresql_understands_every_named_statement(
    shared_settings: Settings, repository: Path, service: str
) -> None:
    connection = await connect(shared_settings, service)
    try:
        await connection.execute(f'DROP SCHEMA "{service}" CASCADE')
        await migrate(connection, service, f"services.{service}")
        statements = {
            f"{file.name}: {name}": statement
            for file in sorted((repository / "services" / service / "sql").glob("[a-z]*.sql"))
            if not file.name.startswith("shadow")  # of a schema that a replay makes; its tests run them all
            for name, statement in named_sql(f"services.{service}", file.name).items()
        }
        assert len(statements) > 20
        # Those that make temporary tables, some for one transaction, come in several and are what others read.
        made = {name: statement for name, statement in statements.items() if ": make_" in name}
        async with connection.transaction():
            for statement in made.values():
                await connection.execute(statement)
            assert [
                w for name in statements.keys() - made.keys() if (w := await wrong(connection, name, statements[name]))
            ] == []
    finally:
        await connection.close()


async def wrong(connection: Database, name: str, statement: str) -> str:
    try:
        async with connection.transaction():
            await connection.prepare(statement)
    except asyncpg.PostgresError as error:
        return f"{name}: {error}"
    return ""
