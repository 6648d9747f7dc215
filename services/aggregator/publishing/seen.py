"""The version of each cell that the topic tells last, as far as it was followed: in arrays, for there are millions."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from services.aggregator.counting.windows import Int64

_FEW = 200_000
"""So many rows are no work to look through."""


def _none() -> Int64:
    return np.empty((0, 2), np.int64)


@dataclass(slots=True)
class SeenVersions:
    """Rows of cell and version. A record that takes a cell back tells version 0."""

    _settled: Int64 = field(default_factory=_none)
    """Each cell once, ascending."""
    _later: list[Int64] = field(default_factory=list)
    _many: int = 0

    def clear(self) -> None:
        """Begin anew: nothing was seen."""
        self._settled, self._many = _none(), 0
        self._later.clear()

    def tell(self, rows: Int64) -> None:
        """Say what the topic tells next."""
        self._later.append(rows)
        self._many += len(rows)
        if self._many > max(_FEW, len(self._settled)):
            self._settle()

    def none_met(self) -> NDArray[np.bool_]:
        """For `behind`, which notes in it the cells that it meets; until something else is told."""
        self._settle()
        return np.zeros(len(self._settled), bool)

    def beyond(self, met: NDArray[np.bool_]) -> Int64:
        """The cells that are told, not taken back, and were not met."""
        found: Int64 = self._settled[~met & (self._settled[:, 1] > 0), 0]
        return found

    def behind(self, counted: Int64, met: NDArray[np.bool_] | None = None) -> Int64:
        """Which of the cells are told with a lower version than the given one, or not at all."""
        self._settle()
        places = np.searchsorted(self._settled[:, 0], counted[:, 0])
        seen = np.zeros(len(counted), np.int64)
        there = np.flatnonzero(places < len(self._settled))
        there = there[self._settled[places[there], 0] == counted[there, 0]]
        seen[there] = self._settled[places[there], 1]
        if met is not None:
            met[places[there]] = True
        found: Int64 = counted[seen < counted[:, 1], 0]
        return found

    def _settle(self) -> None:
        if not self._later:
            return
        rows = np.concatenate((self._settled, *self._later))
        rows = rows[np.argsort(rows[:, 0], kind="stable")]
        last = np.append(rows[1:, 0] != rows[:-1, 0], np.ones(min(1, len(rows)), bool))
        self._settled, self._many = rows[last], 0
        self._later.clear()
