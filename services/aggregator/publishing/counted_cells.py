"""Cells as this process counted them, so that the publisher need not read them again."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from services.aggregator.counting.windows import Int64

_MOST_CELLS = 1_000_000  # 128 bytes each
_NEWEST = np.iinfo(np.int64).max


@dataclass(slots=True)
class CountedCells:
    """The cells of the latest batches, by the number of the row that each batch left in `touched`.

    A batch that is given up leaves no such row, so nobody asks for its cells. What is not here is read from the
    table; that is right at any time.
    """

    most: int = _MOST_CELLS
    _wanted: bool = False
    _batches: dict[int, Int64] = field(default_factory=dict)
    _held: int = 0

    @property
    def full(self) -> bool:
        """Whether the next large batches may push out older ones."""
        return self._held > self.most * 2 // 3

    def begin(self) -> None:
        """Keep what is counted from now on."""
        self.end()
        self._wanted = True

    def end(self) -> None:
        """Keep nothing: another process publishes."""
        self._wanted, self._held = False, 0
        self._batches.clear()

    def keep(self, touched: int, rows: Int64) -> None:
        """Keep a batch's cells: rows of cell, version and counters. The oldest ones go where there are too many."""
        if not self._wanted:
            return
        self._batches[touched] = rows
        self._held += len(rows)
        while self._held > self.most:
            self._drop(next(iter(self._batches)))

    def of(self, touched: Iterable[int]) -> dict[int, Int64]:
        """What is kept of these batches."""
        return {t: self._batches[t] for t in touched if t in self._batches}

    def forget(self, touched: Sequence[int]) -> None:
        """Drop these batches and all before them, among them those that were given up."""
        for number in [n for n in self._batches if n <= max(touched)]:
            self._drop(number)

    def _drop(self, number: int) -> None:
        self._held -= len(self._batches.pop(number))


def newest(read: Int64, counted: Sequence[Int64]) -> Int64:
    """Each cell once, ascending: as it was read from the table, or else with its highest version.

    What was read is at least as new as what was counted before it, and may be gone (version 0).
    """
    if not counted:
        return read
    rows = np.concatenate((*counted, read))
    cells, versions = rows[:, 0].copy(), rows[:, 1].copy()
    versions[len(rows) - len(read) :] = _NEWEST
    order = np.argsort(cells, kind="stable")
    if _descend(cells[order], versions[order]):  # batches came in another order than they were counted in
        order = np.lexsort((versions, cells))
    last = np.append(cells[order[1:]] != cells[order[:-1]], np.ones(min(1, len(cells)), bool))
    found: Int64 = rows.take(order[last], axis=0)
    return found


def _descend(cells: Int64, versions: Int64) -> bool:
    return bool(((cells[1:] == cells[:-1]) & (versions[1:] < versions[:-1])).any())
