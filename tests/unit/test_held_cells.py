"""Cells of a replay that are held in memory: of committed transactions only, and each once."""

import asyncio
from typing import Any, Self

import numpy as np
import pytest

from services.aggregator.counting.deltas import COLUMNS, Deltas
from services.aggregator.history import held_cells
from services.aggregator.history.held_cells import HeldCells

STATEMENTS = {"own_transaction": "own", "fates": "fates"}


class Transactions:
    """PostgreSQL as far as transactions go: numbers them, and knows what became of each."""

    def __init__(self, *fates: bool | None) -> None:
        self.fates, self.number = dict(enumerate(fates, 1)), 0

    async def fetchval(self, _: str) -> int:
        self.number += 1
        return self.number

    async def fetch(self, _: str, numbers: list[int]) -> list[dict[str, Any]]:
        told = [{"own": n, "committed": self.fates[n]} for n in numbers if self.fates[n] is not None]
        self.fates.update({n: True for n in numbers if self.fates[n] is None})  # seen only when asked again
        return told


def deltas(*cells: int) -> Deltas:
    amounts = np.zeros((len(cells), len(COLUMNS)), np.int64)
    amounts[:, 0] = 1
    return Deltas(np.array(cells, np.int64), amounts)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[list[tuple[int, int]]]:
    found: list[list[tuple[int, int]]] = []

    async def add(_: object, __: object, part: Deltas) -> None:
        assert part.amounts.dtype == np.int64
        found.append([*zip(part.cells.tolist(), part.amounts[:, 0].tolist(), strict=True)])

    monkeypatch.setattr(held_cells, "add_to_cells", add)
    return found


class Pool(Transactions):
    """A pool whose connections do nothing."""

    def acquire(self) -> "Pool":
        return self

    transaction = acquire

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass


def hold(held: HeldCells, pool: Pool, *batches: Deltas) -> None:
    async def run() -> None:
        for batch in batches:
            await held.hold(pool, batch)  # type: ignore[arg-type]
        await held.settle(pool)  # type: ignore[arg-type]

    asyncio.run(run())


def test_what_was_committed_is_summed_and_what_was_given_up_is_forgotten(written: list[list[tuple[int, int]]]) -> None:
    held, pool = HeldCells(STATEMENTS), Pool(True, False, None)
    hold(held, pool, deltas(1, 3), deltas(1, 2), deltas(2, 3))
    assert written == []
    asyncio.run(held.write(pool))  # type: ignore[arg-type]
    assert written == [[(1, 1), (2, 1), (3, 2)]]
    asyncio.run(held.write(pool))  # type: ignore[arg-type]
    assert len(written) == 1


def test_cells_are_written_once_there_are_too_many_of_them(written: list[list[tuple[int, int]]]) -> None:
    held, pool = HeldCells(STATEMENTS, most=4), Pool(True, True, True, True)
    hold(held, pool, deltas(1, 2), deltas(1, 2), deltas(1, 2))
    assert written == []  # three times the same two
    hold(held, pool, deltas(3, 4, 5))
    assert written == [[(1, 3), (2, 3), (3, 1), (4, 1), (5, 1)]]
