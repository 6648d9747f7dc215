"""Counting: from changed answers and decisions to deltas of cells. Pure and vectorised.

A cell is one unit (a value of a cut) in one window. Windows are taken on the clock of the delivery's zone
at the time of delivery, so that a day is the recipient's day (hazard 81).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from services.aggregator.counting.reading import REACHED
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
    "reached",
    "opened",
)
"""The counters of a cell, in the order of the table."""
_DELIVERED, _COMMENTED, _CONTESTED, _REACHED, _OPENED = 5, 10, 11, 12, 13
_OUTCOME = {"asked": 6, "suppressed": 7, "pending": 8, "failed": 9}
_CLOSED = ((_OPENED, -1),)
_UNIT_SHIFT, _IN_UNIT = 32, (1 << 32) - 1
_KIND_BITS, _KINDS = 6, 1 << 6
_MOMENTS_END = 1 << 63 - _KIND_BITS
_MINUTE_PLACE = len(WINDOWS) - 1
STANDARD_MASK = (1 << _MINUTE_PLACE) - 1
"""All windows but the minute: those of a unit that nothing else is known of."""
Masks = NDArray[np.int8]
"""The windows of each unit as bits, by the unit's number: a byte each, for numbers may have gaps."""


class Change(msgspec.Struct, frozen=True):
    """One counted thing that changed: where it counts and by how much in which column."""

    units: Sequence[int]
    local_hour: int
    deltas: Sequence[tuple[int, int]]
    minute: int | None = None
    """Of the hour; None where it was not kept, and then no minute is counted."""


@dataclass(frozen=True, slots=True)
class AlikeChanges:
    """Changes in columns, for the many that are alike: each of its units (0 for none), its minute, and its kind."""

    units: NDArray[np.int32]
    minutes: Int64
    kind: Int64
    kinds: Sequence[Sequence[tuple[int, int]]]
    """By how much in which column each kind counts."""


@dataclass(frozen=True, slots=True)
class Deltas:
    """What to add to which cells: `amounts[i]` are the counters of `cells[i]`; cells ascend."""

    cells: Int64
    amounts: Int64


Counting = tuple[int | None, bool, bool, str | None]
"""What of an answer decides how it counts: score, commented, contested, series."""
Twins = Mapping[tuple[int, str], int]
"""The unit of a series that stands beside a unit; there is none where the series are not counted by that cut."""


def answer_changes(
    units: Sequence[int], local_hour: int, minute: int | None, old: Counting | None, new: Counting, twins: Twins
) -> list[Change]:
    """Where an answer's change counts: in its units, or in those of its series beside them."""
    changes = []
    for series in dict.fromkeys((None, old and old[3], new[3])):
        deltas = answer_deltas(old, new, series)
        found = units if series is None else [t for u in units if (t := twins.get((u, series)))]
        if deltas and found:
            changes.append(Change(found, local_hour, deltas, minute))
    return changes


def opened_no_more(units: Sequence[int], local_hour: int, minute: int | None) -> Change:
    """What leaves when an opened page is answered: the answer counts as opened, at its own place."""
    return Change(units, local_hour, _CLOSED, minute)


def answer_deltas(old: Counting | None, new: Counting, series: str | None = None) -> list[tuple[int, int]]:
    """What an answer's change adds to a series, or to the carrier's counters; `old` is None for a first revision.

    A contested answer never counts as satisfaction, whatever its score (E3). One that is kept apart (about
    another party than the carrier, uninvited, or by a machine) counts in its series only, and leaves where it counted.
    """
    return [*([(c, -1) for c in _columns(old, series)] if old else []), *[(c, 1) for c in _columns(new, series)]]


def _columns(counting: Counting, series: str | None) -> list[int]:
    score, commented, contested, own = counting
    if own != series:
        return []
    columns = [score - 1] if score is not None and not contested else []
    if commented:
        columns.append(_COMMENTED)
    if contested:
        columns.append(_CONTESTED)
    if series is None:
        columns.append(_OPENED)
    return columns


def decision_deltas(old: str | None, new: str) -> list[tuple[int, int]]:
    """What a decision's change adds: a first one counts the delivery, later ones move it between outcomes."""
    if new == REACHED:
        return [] if old else [(_REACHED, 1)]
    return [(_OUTCOME[old], -1), (_OUTCOME[new], 1)] if old else [(_DELIVERED, 1), (_OUTCOME[new], 1)]


def fold(
    changes: Sequence[Change], masks: Masks | None = None, minutes_from: int = 0, alike: AlikeChanges | None = None
) -> Deltas:
    """Sum all changes per cell, and those that are alike. Cells whose changes cancel out are left out.

    `masks` says which windows the units have (without it: the standard ones); minutes of the wall clock before
    `minutes_from` are counted no more.
    """
    parts = [*([_spread(changes)] if changes else []), *([_spread_alike(alike)] if alike is not None else [])]
    if not parts:
        return Deltas(np.empty(0, np.int64), np.empty((0, len(COLUMNS)), np.int64))
    spread = _joined(parts)
    moving = np.flatnonzero(spread.kinds.any(axis=0))
    moments, sums = _by_moment(spread, spread.kinds.T[moving], masks, minutes_from)
    unit, minute, has_minute = moments >> _UNIT_SHIFT, (moments & _IN_UNIT) >> 1, (moments & 1).astype(bool)
    mask = _masks_of(unit, masks)
    cells, amounts = [], []
    for place in range(len(BASES)):
        counted = (mask >> place & 1).astype(bool)
        of = np.flatnonzero(counted & has_minute if place == _MINUTE_PLACE else counted)
        if len(of):
            # Moments ascend within a unit, and so do the windows that they lie in: nothing is sorted again.
            keys = pack(unit[of], codes(minute[of], place))
            first = _first_of_each(keys)
            cells.append(keys[first])
            amounts.append(np.add.reduceat(np.take(sums, of, axis=1), first, axis=1))
    return _moved(cells, amounts, moving)


class _Spread(NamedTuple):
    """Changes with a row for each unit that one touches; `kind` is which of the `kinds` of amounts it adds."""

    unit: Int64
    minute: Int64
    has_minute: NDArray[np.bool_]
    kind: Int64
    kinds: Int64


def _spread(changes: Sequence[Change]) -> _Spread:
    distinct = {id(c.deltas): c.deltas for c in changes}
    places = {name: place for place, name in enumerate(distinct)}
    change = np.repeat(np.arange(len(changes)), [len(c.units) for c in changes])
    unit = np.fromiter(chain.from_iterable([c.units for c in changes]), np.int64, len(change))
    minute = np.array([c.local_hour * 60 + (c.minute or 0) for c in changes], np.int64)
    has_minute = np.array([c.minute is not None for c in changes])
    # Most changes share a few sequences of amounts.
    kind = np.array([places[id(c.deltas)] for c in changes], np.int64)
    return _Spread(unit, minute[change], has_minute[change], kind[change], _amounts([*distinct.values()]))


def _spread_alike(alike: AlikeChanges) -> _Spread:
    there = alike.units > 0
    change = np.nonzero(there)[0]
    unit = alike.units[there].astype(np.int64)
    return _Spread(unit, alike.minutes[change], np.ones(len(unit), bool), alike.kind[change], _amounts(alike.kinds))


def _joined(parts: Sequence[_Spread]) -> _Spread:
    if len(parts) == 1:
        return parts[0]
    one, other = parts
    return _Spread(
        np.concatenate((one.unit, other.unit)),
        np.concatenate((one.minute, other.minute)),
        np.concatenate((one.has_minute, other.has_minute)),
        np.concatenate((one.kind, other.kind + len(one.kinds))),
        np.concatenate((one.kinds, other.kinds)),
    )


def _amounts(kinds: Sequence[Sequence[tuple[int, int]]]) -> Int64:
    """What each kind of change adds, column by column."""
    amounts = np.zeros((len(kinds), len(COLUMNS)), np.int64)
    for place, deltas in enumerate(kinds):
        for column, amount in deltas:
            amounts[place, column] += amount
    return amounts


def _by_moment(spread: _Spread, counters: Int64, masks: Masks | None, minutes_from: int) -> tuple[Int64, Int64]:
    """Sums by unit and moment, ascending, each packed as unit, minute, and whether the minute itself counts.

    The moment is the minute where single minutes of the unit are counted, else the hour. `counters` are what each kind
    adds to the counters that move at all, and the sums are those of these. Both have a row for each counter: what lies
    side by side is added up several times as quickly.
    """
    unit, minute = spread.unit, spread.minute
    kept = spread.has_minute & (minute >= minutes_from)
    counts = kept & (_masks_of(unit, masks) >> _MINUTE_PLACE & 1).astype(bool)
    moments = unit << _UNIT_SHIFT | np.where(counts, minute, minute // 60 * 60) << 1 | counts
    moments, kind = _in_order(moments, spread.kind, len(spread.kinds))
    first = _first_of_each(moments)
    amounts = np.take(counters, kind, axis=1)
    return moments[first], np.add.reduceat(amounts, first, axis=1) if len(first) else amounts


def _in_order(moments: Int64, kind: Int64, kinds: int) -> tuple[Int64, Int64]:
    """Both by ascending moments; where both fit in one number, to sort these takes a third of finding the order."""
    if kinds <= _KINDS and len(moments) and moments.max() < _MOMENTS_END:
        together = np.sort(moments << _KIND_BITS | kind)
        return together >> _KIND_BITS, together & _KINDS - 1
    order = np.argsort(moments)
    return moments[order], kind[order]


def _masks_of(unit: Int64, masks: Masks | None) -> Masks:
    return np.full(len(unit), STANDARD_MASK, np.int8) if masks is None else masks[unit]


def _first_of_each(ascending: Int64) -> Int64:
    """Where each different number begins."""
    return np.flatnonzero(np.concatenate((np.ones(min(1, len(ascending)), bool), np.diff(ascending) != 0)))


def _moved(cells: Sequence[Int64], amounts: Sequence[Int64], moving: Int64) -> Deltas:
    """Those whose counters change, in ascending order; the amounts are of the counters in `moving`."""
    if not cells:
        return Deltas(np.empty(0, np.int64), np.empty((0, len(COLUMNS)), np.int64))
    every, added = np.concatenate(cells), np.concatenate(amounts, axis=1)
    moved = np.flatnonzero(added.any(axis=0))
    order = moved[np.argsort(every[moved], kind="stable")]
    counters = np.zeros((len(COLUMNS), len(order)), np.int64)
    counters[moving] = np.take(added, order, axis=1)
    return Deltas(every[order], counters.T)
