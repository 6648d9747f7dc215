"""A database as a process sees it that is killed: after so many statements its connection is cut for good.

PostgreSQL rolls back what was not committed, as it does when a process dies.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from services.chassis.postgres import Pool

STATEMENTS = frozenset(
    {"execute", "fetch", "fetchrow", "fetchval", "copy_records_to_table", "copy_to_table", "copy_from_query"}
)


class DyingConnection:
    """A connection that is cut after so many statements of its pool."""

    def __init__(self, real: Any, whole: "DyingPool") -> None:
        self._real, self._whole = real, whole

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._real, name)
        return self._counted(found) if name in STATEMENTS else found

    def _counted(self, statement: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def run(*values: Any, **named: Any) -> Any:
            if self._whole.left == 0:
                self._real.terminate()
                raise ConnectionResetError("killed")
            self._whole.left -= 1
            return await statement(*values, **named)

        return run


class DyingPool:
    """A pool whose process is killed before its statement number `left`, counted from 0; statements on it count too."""

    def __init__(self, real: Pool, left: int) -> None:
        self._real, self.left = real, left

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[DyingConnection]:
        """A connection that dies with the others."""
        async with self._real.acquire() as connection:
            yield DyingConnection(connection, self)

    async def execute(self, sql: str, *values: Any) -> Any:
        """One statement on a connection of its own."""
        async with self.acquire() as connection:
            return await connection.execute(sql, *values)

    async def fetchval(self, sql: str, *values: Any) -> Any:
        """One value by a connection of its own."""
        async with self.acquire() as connection:
            return await connection.fetchval(sql, *values)
