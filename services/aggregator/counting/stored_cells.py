"""Deltas onto the rows of cells, as cheaply as their number allows."""

from collections.abc import Mapping

import numpy as np

from services.aggregator.counting.deltas import COLUMNS, Deltas
from services.aggregator.counting.windows import Int64
from services.chassis.bigint_copy import read_rows, write_rows
from services.chassis.postgres import Database

_MANY = 2_000
"""From so many cells on it pays to ask first which of them are new."""
ROW = ("cell", "version", *COLUMNS)
"""The columns of a cell, in the order of the table."""


async def add_to_cells(connection: Database, sql: Mapping[str, str], deltas: Deltas) -> Int64:
    """Add to the counters in key order; returns the cells as they stand now, with version and counters, ascending.

    Call inside a transaction on a connection with the incoming tables. Only one transaction adds at a time: nearly
    every one adds to the total, so they would wait for each other anyway.
    """
    await connection.execute(sql["hold_cells"])
    rows = np.column_stack((deltas.cells, np.ones_like(deltas.cells), deltas.amounts))
    old = await _are_there(connection, sql, deltas.cells)
    if not old.all():
        await write_rows(connection, "cell", ROW, rows[~old])
    if old.any():
        await write_rows(connection, "incoming_cell", ROW, rows[old])
        # By key, because nothing promises that rows come back in the order in which they went in.
        now = await read_rows(connection, sql["apply_deltas"], columns=len(ROW))
        rows[np.searchsorted(deltas.cells, now[:, 0])] = now
    return rows


async def _are_there(
    connection: Database, sql: Mapping[str, str], cells: Int64
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which of many cells have a row; of few cells all are taken for such, which is right for new ones too."""
    if len(cells) < _MANY:
        return np.ones(len(cells), bool)
    found = await connection.fetch(sql["which_cells"], cells.tolist())
    known = np.fromiter((row[0] for row in found), np.int64, len(found))
    return np.isin(cells, known, assume_unique=True)
