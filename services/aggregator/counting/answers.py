"""What kept answers change in the counters. Pure."""

import functools
from collections.abc import Sequence

import msgspec

from services.aggregator.counting.deltas import Change, Counting, Twins, answer_changes, answer_deltas, opened_no_more
from services.aggregator.counting.reading import CountedAnswer

# There are few ways in which an answer can count; each is worked out once.
_deltas = functools.lru_cache(1024)(answer_deltas)


class Placed(msgspec.Struct, frozen=True):
    """An answer, and where it counts if it is the first revision: its units and the minute of its wall clock."""

    answer: CountedAnswer
    units: Sequence[int]
    minute: int


class Before(msgspec.Struct, frozen=True):
    """What was known of an answer before: where it counts, and how (None for a page that was only opened)."""

    revision: int
    counting: Counting | None
    units: Sequence[int]
    hour: int
    minute: int | None


Kept = tuple[Placed, Before | None]
"""An answer that is newer than what was known before, None for nothing."""


def beside(kept: Sequence[Kept]) -> set[tuple[int, str]]:
    """The units with series in which the answers count, or counted."""
    return {
        (unit, series)
        for placed, before in kept
        if placed.answer.series or (before and before.counting and before.counting[3])
        for series in (placed.answer.series, before and before.counting and before.counting[3])
        if series
        for unit in (placed.units if before is None or before.revision == 0 else before.units)
    }


def changes_of(kept: Sequence[Kept], twins: Twins) -> list[Change]:
    """What the answers change, each at the place of its first revision.

    That a page was opened (revision 0) fixes no place, and leaves the counters of its own when it is answered.
    """
    changes: list[Change] = []
    minute: int | None
    for placed, before in kept:
        answer = placed.answer
        new = (answer.score, answer.commented, answer.contested, answer.series)
        if before is None or before.revision == 0:
            units, hour, minute, old = placed.units, placed.minute // 60, placed.minute % 60, None
        else:
            units, hour, minute, old = before.units, before.hour, before.minute, before.counting
        if answer.series is None and (old is None or old[3] is None):
            changes.append(Change(units, hour, _deltas(old, new), minute))
        else:
            changes += answer_changes(units, hour, minute, old, new, twins)
        if before is not None and before.revision == 0:
            changes.append(opened_no_more(before.units, before.hour, before.minute))
    return changes
