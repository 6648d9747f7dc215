"""Counting: from changed answers and decisions to deltas of cells. Pure and vectorised.

A cell is one unit (a value of a cut) in one window. Windows are taken on the clock of the delivery's zone
at the time of delivery, so that a day is the recipient's day (hazard 81).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from services.aggregator.counting.windows import BASES, WINDOWS, Int64, codes, pack

COLUMNS = (
    "s1",
    "s2",
    "s3",
    "s4",
    "s5",
    "delivered",
    "asked",
    "suppressed",
    "pending",
    "failed",
    "commented",
    "contested",
)
"""The counters of a cell, in the order of the table."""
_DELIVERED, _COMMENTED, _CONTESTED = 5, 10, 11
_OUTCOME = {"asked": 6, "suppressed": 7, "pending": 8, "failed": 9}
_MINUTE_PLACE = len(WINDOWS) - 1
STANDARD_MASK = (1 << _MINUTE_PLACE) - 1
"""All windows but the minute: those of a unit that nothing else is known of."""
Masks = NDArray[np.int64]
"""The windows of each unit as bits, by the unit's number."""


@dataclass(frozen=True, slots=True)
class Change:
    """One counted thing that changed: where it counts and by how much in which column."""

    units: Sequence[int]
    local_hour: int
    deltas: Sequence[tuple[int, int]]
    minute: int | None = None
    """Of the hour; None where it was not kept, and then no minute is counted."""


@dataclass(frozen=True, slots=True)
class Deltas:
    """What to add to which cells: `amounts[i]` are the twelve counters of `cells[i]`; cells ascend."""

    cells: Int64
    amounts: Int64


Counting = tuple[int | None, bool, bool, bool]
"""What of an answer decides how it counts: score, commented, contested, apart."""


def answer_deltas(old: Counting | None, new: Counting) -> list[tuple[int, int]]:
    """What an answer's change adds; `old` is None for a first revision.

    A contested answer never counts as satisfaction, whatever its score (E3). One that is kept apart (about
    another party than the carrier, uninvited, or by a machine) counts nowhere, and leaves where it counted.
    """
    return [*([(c, -1) for c in _columns(*old)] if old else []), *[(c, 1) for c in _columns(*new)]]


def _columns(score: int | None, commented: bool, contested: bool, apart: bool) -> list[int]:
    if apart:
        return []
    columns = [score - 1] if score is not None and not contested else []
    if commented:
        columns.append(_COMMENTED)
    if contested:
        columns.append(_CONTESTED)
    return columns


def decision_deltas(old: str | None, new: str) -> list[tuple[int, int]]:
    """What a decision's change adds: a first one counts the delivery, later ones move it between outcomes."""
    return [(_OUTCOME[old], -1), (_OUTCOME[new], 1)] if old else [(_DELIVERED, 1), (_OUTCOME[new], 1)]


def fold(changes: Sequence[Change], masks: Masks | None = None, minutes_from: int = 0) -> Deltas:
    """Sum all changes per cell. Cells whose changes cancel out are left out.

    `masks` says which windows the units have (without it: the standard ones); minutes of the wall clock before
    `minutes_from` are counted no more.
    """
    entries = [(i, column, amount) for i, c in enumerate(changes) for column, amount in c.deltas]
    if not entries:
        return Deltas(np.empty(0, np.int64), np.empty((0, len(COLUMNS)), np.int64))
    event, column, amount = np.array(entries, np.int64).T
    counts = np.array([len(c.units) for c in changes], np.int64)
    units = np.fromiter((u for c in changes for u in c.units), np.int64, int(counts.sum()))
    # Each entry meets every unit of its event.
    starts = np.concatenate(([0], np.cumsum(counts)[:-1]))
    repeats = counts[event]
    entry = np.repeat(np.arange(len(event)), repeats)
    within = np.arange(int(repeats.sum())) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    unit = units[starts[event[entry]] + within]
    keys, chosen = _keys(unit, event[entry], changes, masks, minutes_from)
    cells, place = np.unique(keys, return_inverse=True)
    slot = place * len(COLUMNS) + column[entry[chosen]]
    sums = np.bincount(slot, weights=amount[entry[chosen]], minlength=len(cells) * len(COLUMNS))
    amounts = sums.astype(np.int64).reshape(len(cells), len(COLUMNS))
    moved = amounts.any(axis=1)
    return Deltas(cells[moved], amounts[moved])


def _keys(
    unit: Int64, event: Int64, changes: Sequence[Change], masks: Masks | None, minutes_from: int
) -> tuple[Int64, Int64]:
    """The cells of each unit in the windows that it has, and which of the units each cell is of."""
    minutes = np.array([c.local_hour * 60 + (c.minute or 0) for c in changes], np.int64)
    has_minute = np.array([c.minute is not None for c in changes]) & (minutes >= minutes_from)
    mask = np.full(len(unit), STANDARD_MASK, np.int64) if masks is None else masks[unit]
    keys, chosen = [], []
    for place in range(len(BASES)):
        counted = (mask >> place & 1).astype(bool)
        if place == _MINUTE_PLACE:
            counted &= has_minute[event]
        of = np.flatnonzero(counted)
        keys.append(pack(unit[of], codes(minutes, place)[event[of]]))
        chosen.append(of)
    return np.concatenate(keys), np.concatenate(chosen)


class LocalClock:
    """Instants as minutes since 1970 on a zone's wall clock; zone rules are asked once per quarter of an hour."""

    def __init__(self) -> None:
        self._offsets: dict[tuple[str, int], int] = {}

    def minute(self, at: datetime, zone: str) -> int:
        """The wall-clock minute. Raises KeyError-like ZoneInfoNotFoundError for a zone that does not exist."""
        seconds = int(at.timestamp())
        key = (zone, seconds // 900)
        offset = self._offsets.get(key)
        if offset is None:
            delta = at.astimezone(ZoneInfo(zone)).utcoffset()
            offset = self._offsets[key] = int((delta or timedelta()).total_seconds())
            if len(self._offsets) > 100_000:  # noqa: PLR2004  about three years of quarters
                self._offsets.clear()
        # West of Greenwich the first hours of 1970 lie before it; they count in the first hour there is.
        return max(0, seconds + offset) // 60
