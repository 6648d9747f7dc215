"""Cells of a shadow, summed in memory and written seldom: nobody reads them before everything is counted."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.aggregator.counting.deltas import Deltas
from services.aggregator.counting.stored_cells import add_to_cells
from services.aggregator.counting.windows import Int64
from services.chassis.pauses import pauses
from services.chassis.postgres import Database, Pool

_MOST = 1_000_000
_WRITTEN_AT_ONCE = 200_000


class Summed(NamedTuple):
    """What is added to which cells, ascending, in half the memory of `Deltas`."""

    cells: Int64
    amounts: NDArray[np.int32]


@dataclass(slots=True)
class HeldCells:
    """What committed batches add to cells, until it is written.

    A batch may be given up after it was counted, and a commit may come through unheard; so a transaction's cells
    wait until PostgreSQL tells what became of it.
    """

    sql: Mapping[str, str]
    """The statements of the aggregator and of its shadow."""
    most: int = _MOST
    """How many cells are held at most, 64 bytes each, and as much again while they are summed."""
    _waiting: dict[int, Summed] = field(default_factory=dict)
    _parts: list[Summed] = field(default_factory=list)

    async def hold(self, connection: Database, deltas: Deltas) -> None:
        """Keep what a batch adds, inside its transaction."""
        own = await connection.fetchval(self.sql["own_transaction"])
        self._waiting[own] = Summed(deltas.cells, deltas.amounts.astype(np.int32))

    async def settle(self, pool: Pool) -> None:
        """Take what was committed and forget what was given up; write all where there is too much of it."""
        for pause in pauses() if self._waiting else ():
            for row in await pool.fetch(self.sql["fates"], [*self._waiting]):
                deltas = self._waiting.pop(row["own"])
                if row["committed"]:
                    self._parts.append(deltas)
            if not self._waiting:
                break
            await asyncio.sleep(pause)  # its connection went away, and PostgreSQL has not noticed yet
        if sum(len(part.cells) for part in self._parts) > self.most:
            self._parts = [summed(self._parts)]
            if len(self._parts[0].cells) > self.most // 2:
                await self.write(pool)

    async def write(self, pool: Pool) -> None:
        """Add all that is held to the table of cells."""
        if not self._parts:
            return
        held, self._parts = summed(self._parts), []
        for first in range(0, len(held.cells), _WRITTEN_AT_ONCE):
            some = slice(first, first + _WRITTEN_AT_ONCE)
            async with pool.acquire() as connection, connection.transaction():
                part = Deltas(held.cells[some], held.amounts[some].astype(np.int64))
                await add_to_cells(connection, self.sql, part)


def summed(parts: list[Summed]) -> Summed:
    """Each cell once with all that the parts, at least one, add to it."""
    cells = np.concatenate([part.cells for part in parts])
    order = np.argsort(cells, kind="stable")
    cells = cells[order]
    first = np.flatnonzero(np.concatenate((np.ones(1, bool), cells[1:] != cells[:-1])))
    # Counter by counter: what lies side by side is added up quicker.
    amounts = np.take(np.concatenate([part.amounts.T for part in parts], axis=1), order, axis=1)
    return Summed(cells[first], np.add.reduceat(amounts, first, axis=1, dtype=np.int32).T)
