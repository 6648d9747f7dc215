"""Rows of `bigint` between PostgreSQL and numpy in COPY's binary format, without a Python object for each number.

The format: https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS
"""

import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from services.chassis.copy_in import copy_in
from services.chassis.postgres import Database

_SIGNATURE = b"PGCOPY\n\xff\r\n\0"
HEADER = _SIGNATURE + bytes(8)  # no flags, no extension
"""What stands before the rows."""
TRAILER = b"\xff\xff"
"""What stands behind them."""
_WIDTH = 8
_INT8_OID = 20


def _row(columns: int) -> np.dtype[np.void]:
    field = np.dtype([("width", ">i4"), ("number", ">i8")])
    return np.dtype([("columns", ">i2"), ("fields", field, (columns,))])


def packed(rows: NDArray[np.int64]) -> bytes:
    """Rows as COPY reads them."""
    told = np.empty(len(rows), _row(rows.shape[1]))
    told["columns"], told["fields"]["width"] = rows.shape[1], _WIDTH
    told["fields"]["number"] = rows
    return b"".join((HEADER, told.view(np.uint8).data, TRAILER))


def unpacked(told: bytes, columns: int) -> NDArray[np.int64]:
    """Rows as COPY wrote them.

    Raises:
        ValueError: they are not rows of so many `bigint` that are not null.
    """
    body = len(told) - len(HEADER) - len(TRAILER)
    if not told.startswith(_SIGNATURE) or body % _row(columns).itemsize:
        raise ValueError("not rows of bigint")
    rows = np.frombuffer(told, _row(columns), body // _row(columns).itemsize, len(HEADER))
    if not ((rows["columns"] == columns).all() and (rows["fields"]["width"] == _WIDTH).all()):
        raise ValueError("not rows of bigint")
    return rows["fields"]["number"].astype(np.int64)


async def read_rows(connection: Database, query: str, *arguments: object, columns: int) -> NDArray[np.int64]:
    """The rows of a query whose columns are all `bigint NOT NULL`."""
    parts: list[bytes] = []

    async def keep(part: bytes) -> None:
        parts.append(part)

    await connection.copy_from_query(query, *arguments, output=keep, format="binary")
    return unpacked(b"".join(parts), columns)


async def write_rows(connection: Database, table: str, columns: Sequence[str], rows: NDArray[np.int64]) -> None:
    """Add rows to a table whose named columns are all `bigint`."""
    await copy_in(connection, table, columns, packed(rows))


def packed_array(elements: NDArray[np.void], kind: int) -> bytes:
    """One row with one array, as COPY reads it; the driver would look at each element in Python.

    `elements` are at least one, each with its width; `kind` is the number of their type.
    """
    # One dimension without nulls, of so many elements, the first of which has the index 1.
    start = struct.pack(">iiiii", 1, 0, kind, len(elements), 1)
    width = len(start) + elements.nbytes
    return b"".join((HEADER, struct.pack(">hi", 1, width), start, elements.view(np.uint8).data, TRAILER))


def packed_numbers(numbers: NDArray[np.int64]) -> bytes:
    """One row with an array of `bigint`."""
    elements = np.empty(len(numbers), [("width", ">i4"), ("number", ">i8")])
    elements["width"], elements["number"] = _WIDTH, numbers
    return packed_array(elements, _INT8_OID)


async def write_array(connection: Database, table: str, column: str, numbers: NDArray[np.int64]) -> None:
    """Add one row with these numbers, at least one, in a column of type `bigint[]`."""
    await copy_in(connection, table, [column], packed_numbers(numbers))
