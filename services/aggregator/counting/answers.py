"""What kept answers change in the counters. Pure."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from services.aggregator.counting.answer_columns import SERIES, AnswerColumns
from services.aggregator.counting.deltas import (
    AlikeChanges,
    Change,
    Counting,
    Twins,
    answer_changes,
    answer_deltas,
    opened_no_more,
)

# There are few ways in which an answer can count; each is worked out once.
_deltas = functools.lru_cache(1024)(answer_deltas)
_SCORES = 6
"""None, which is 0 in a row, and 1 to 5."""


class Before(msgspec.Struct, frozen=True):
    """What was known of an answer before: where it counts, and how (None for a page that was only opened)."""

    revision: int
    counting: Counting | None
    units: Sequence[int]
    hour: int
    minute: int | None


@dataclass(frozen=True, slots=True)
class Kept:
    """Answers that are newer than what was known before.

    Attributes:
        answers: all of them; first those of which nothing was known, then in the order of `before` the others.
        before: what was known of the others.
    """

    answers: AnswerColumns
    before: Sequence[Before]

    @property
    def first(self) -> int:
        """Of how many nothing was known."""
        return len(self.answers) - len(self.before)


def beside(kept: Kept) -> set[tuple[int, str]]:
    """The units with series in which the answers count, or counted."""
    return {
        (unit, series)
        for units, _, new, before in _one_by_one(kept)
        for series in (new[3], before and before.counting and before.counting[3])
        if series
        for unit in (units if before is None or before.revision == 0 else before.units)
    }


def changes_of(kept: Kept, twins: Twins) -> list[Change]:
    """What answers change that are kept apart or were known before, each at the place of its first revision.

    That a page was opened (revision 0) fixes no place, and leaves the counters of its own when it is answered.
    """
    changes: list[Change] = []
    minute: int | None
    for own, at, new, before in _one_by_one(kept):
        if before is None or before.revision == 0:
            units, hour, minute, old = own, at // 60, at % 60, None
        else:
            units, hour, minute, old = before.units, before.hour, before.minute, before.counting
        if new[3] is None and (old is None or old[3] is None):
            changes.append(Change(units, hour, _deltas(old, new), minute))
        else:
            changes += answer_changes(units, hour, minute, old, new, twins)
        if before is not None and before.revision == 0:
            changes.append(opened_no_more(before.units, before.hour, before.minute))
    return changes


def alike_in(kept: Kept) -> AlikeChanges:
    """What all other answers change: first revisions that count for the carrier."""
    rows, units = kept.answers.rows[: kept.first], kept.answers.units[: kept.first]
    if rows["series"].any():
        rows, units = rows[rows["series"] == 0], units[rows["series"] == 0]
    kind = (rows["score"].astype(np.int64) * 2 + rows["commented"]) * 2 + rows["contested"]
    return AlikeChanges(units, rows["minute"], kind, _kinds())


def _one_by_one(kept: Kept) -> list[tuple[Sequence[int], int, Counting, Before | None]]:
    """Units, minute, counting and what was known before, of those that are not alike."""
    first = np.flatnonzero(kept.answers.rows["series"][: kept.first])
    if not len(first) and not kept.before:
        return []
    some = kept.answers.at(np.concatenate((first, np.arange(kept.first, len(kept.answers)))))
    fields = some.rows[["score", "commented", "contested", "series", "minute"]].tolist()
    before = [*[None] * len(first), *kept.before]
    return [
        ([u for u in units if u], minute, (score or None, commented, contested, SERIES[series]), known)
        for units, (score, commented, contested, series, minute), known in zip(
            some.units.tolist(), fields, before, strict=True
        )
    ]


@functools.cache
def _kinds() -> Sequence[Sequence[tuple[int, int]]]:
    """What each way adds in which a first revision can count for the carrier, in the order of `alike_in`."""
    return [
        answer_deltas(None, (score or None, commented, contested, None))
        for score in range(_SCORES)
        for commented in (False, True)
        for contested in (False, True)
    ]
