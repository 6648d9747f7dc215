"""Counting: from changed answers and decisions to deltas of cells. Pure and vectorised.

A cell is one unit (a value of a cut) in one window. Windows are taken on the clock of the delivery's zone
at the time of delivery, so that a day is the recipient's day (hazard 81).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from schemas.satisfaction import Window

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
WINDOWS = (Window.HOUR, Window.DAY, Window.MONTH, Window.ALL)
_UNIT_SHIFT, _WINDOW_SHIFT, _INDEX_MASK = 32, 30, (1 << 30) - 1
_EPOCH_DAY = np.datetime64("1970-01-01", "D")
Int64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Change:
    """One counted thing that changed: where it counts and by how much in which column."""

    units: Sequence[int]
    local_hour: int
    deltas: Sequence[tuple[int, int]]


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


def fold(changes: Sequence[Change]) -> Deltas:
    """Sum all changes per cell. Cells whose changes cancel out are left out."""
    entries = [(i, column, amount) for i, c in enumerate(changes) for column, amount in c.deltas]
    if not entries:
        return Deltas(np.empty(0, np.int64), np.empty((0, len(COLUMNS)), np.int64))
    event, column, amount = np.array(entries, np.int64).T
    counts = np.array([len(c.units) for c in changes], np.int64)
    units = np.fromiter((u for c in changes for u in c.units), np.int64, int(counts.sum()))
    windows = _window_codes(np.array([c.local_hour for c in changes], np.int64))
    # Each entry meets every unit of its event, and each of those every window.
    starts = np.concatenate(([0], np.cumsum(counts)[:-1]))
    repeats = counts[event]
    entry = np.repeat(np.arange(len(event)), repeats)
    within = np.arange(int(repeats.sum())) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    unit = units[starts[event[entry]] + within]
    keys = ((unit << _UNIT_SHIFT)[:, None] | windows[event[entry]]).ravel()
    cells, place = np.unique(keys, return_inverse=True)
    slot = place * len(COLUMNS) + np.repeat(column[entry], len(WINDOWS))
    sums = np.bincount(slot, weights=np.repeat(amount[entry], len(WINDOWS)), minlength=len(cells) * len(COLUMNS))
    amounts = sums.astype(np.int64).reshape(len(cells), len(COLUMNS))
    moved = amounts.any(axis=1)
    return Deltas(cells[moved], amounts[moved])


def _window_codes(local_hours: Int64) -> Int64:
    days = local_hours // 24
    months = (_EPOCH_DAY + days).astype("datetime64[M]").astype(np.int64)
    codes = np.stack([local_hours, days, months, np.zeros_like(days)], axis=1)
    packed: Int64 = codes | (np.arange(len(WINDOWS), dtype=np.int64) << _WINDOW_SHIFT)
    return packed


class LocalClock:
    """Instants as hours since 1970 on a zone's wall clock; zone rules are asked once per quarter of an hour."""

    def __init__(self) -> None:
        self._offsets: dict[tuple[str, int], int] = {}

    def hour(self, at: datetime, zone: str) -> int:
        """The wall-clock hour. Raises KeyError-like ZoneInfoNotFoundError for a zone that does not exist."""
        seconds = int(at.timestamp())
        key = (zone, seconds // 900)
        offset = self._offsets.get(key)
        if offset is None:
            delta = at.astimezone(ZoneInfo(zone)).utcoffset()
            offset = self._offsets[key] = int((delta or timedelta()).total_seconds())
            if len(self._offsets) > 100_000:  # noqa: PLR2004  about three years of quarters
                self._offsets.clear()
        # West of Greenwich the first hours of 1970 lie before it; they count in the first hour there is.
        return max(0, seconds + offset) // 3600


def unpack(cell: int) -> tuple[int, Window, int]:
    """Unit, window and index of a packed cell."""
    return cell >> _UNIT_SHIFT, WINDOWS[(cell >> _WINDOW_SHIFT) & 3], cell & _INDEX_MASK


def window_number(window: Window) -> int:
    """The window's number inside a packed cell."""
    return WINDOWS.index(window)


def window_start(window: Window, index: int) -> str | None:
    """The window's first moment on the local clock, as text: `2026-10-13T14:00`, `2026-10-13`, `2026-10`."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    match window:
        case Window.HOUR:
            return (epoch + timedelta(hours=index)).strftime("%Y-%m-%dT%H:00")
        case Window.DAY:
            return (epoch + timedelta(days=index)).strftime("%Y-%m-%d")
        case Window.MONTH:
            return f"{1970 + index // 12:04d}-{index % 12 + 1:02d}"
        case _:
            return None
