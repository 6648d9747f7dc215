"""Rows that are written already, into a table by COPY.

asyncpg takes them from a file in another thread, and makes a class for each such file, which keeps all that was sent
until somebody looks for cycles of objects.
"""

from collections.abc import Sequence
from typing import Final

from services.chassis.postgres import Database

_AT_ONCE: Final = 512 * 1024


async def copy_in(connection: Database, table: str, columns: Sequence[str], told: bytes) -> None:
    """Add rows in COPY's binary format to a table."""
    # Whatever can be read through memory is sent as it is, and bytes themselves would be taken for a path.
    source = memoryview(told) if len(told) <= _AT_ONCE else _Pieces(told)
    await connection.copy_to_table(table, source=source, columns=[*columns], format="binary")  # type: ignore[arg-type]


class _Pieces:
    """Many rows a message at a time, so that the server reads the first while the next ones come."""

    def __init__(self, told: bytes) -> None:
        view = memoryview(told)
        self._rest = iter([view[at : at + _AT_ONCE] for at in range(0, len(view), _AT_ONCE)])

    def __aiter__(self) -> "_Pieces":
        return self

    async def __anext__(self) -> memoryview:
        for piece in self._rest:
            return piece
        raise StopAsyncIteration
