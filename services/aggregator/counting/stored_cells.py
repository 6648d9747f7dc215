"""Deltas onto the rows of cells, as cheaply as their number allows."""

from collections.abc import Mapping

import numpy as np

from services.aggregator.counting.deltas import COLUMNS, Deltas
from services.aggregator.counting.windows import Int64
from services.chassis.bigint_copy import read_rows, write_array, write_rows
from services.chassis.failures import TryAgain
from services.chassis.postgres import Database

_MANY = 2_000
"""From so many cells on it pays to ask first which of them are new."""
ROW = ("cell", "version", *COLUMNS)
"""The columns of a cell, in the order of the table."""


async def add_to_cells(connection: Database, sql: Mapping[str, str], deltas: Deltas) -> Int64:
    """Add to the counters in key order; returns the cells as they stand now, with version and counters, ascending.

    Call inside a transaction on a connection with the incoming tables. Only one transaction adds at a time: nearly
    every one adds to the total, so they would wait for each other anyway.

    Raises:
        TryAgain: a cell was deleted meanwhile, by whoever holds no lock.
    """
    await connection.execute(sql["hold_cells"])
    rows = np.column_stack((deltas.cells, np.ones_like(deltas.cells), deltas.amounts))
    if len(rows) < _MANY:
        now = await _added(connection, sql["apply_deltas"], rows)
        rows[np.searchsorted(deltas.cells, now[:, 0])] = now
        return rows
    await connection.execute(sql["make_asked"])
    await write_array(connection, "asked", "cells", deltas.cells)
    known = await read_rows(connection, sql["which_cells"], columns=1)
    old = np.isin(deltas.cells, known, assume_unique=True)
    if not old.all():
        await _copied(connection, "cell", rows[~old])
    if old.any():
        await connection.execute(sql["join_by_index"])
        now = await _added(connection, sql["add_to_old"], rows[old])
        if len(now) < len(known):
            raise TryAgain("a cell went away while it was added to")
        rows[np.searchsorted(deltas.cells, now[:, 0])] = now
    return rows


async def _added(connection: Database, statement: str, rows: Int64) -> Int64:
    """The cells as they stand now, in no certain order: nothing promises that they come back as they went in."""
    await _copied(connection, "incoming_cell", rows)
    return await read_rows(connection, statement, columns=len(ROW))


async def _copied(connection: Database, table: str, rows: Int64) -> None:
    """Rows into a table whose counters are nought by default: those in which nothing counts are not sent."""
    counts = np.flatnonzero(rows.any(axis=0))
    await write_rows(connection, table, [ROW[place] for place in counts], rows[:, counts])
