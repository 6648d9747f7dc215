"""Which revision of a closed month the public sees. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from services.aggregator.counting.cuts import TOTAL, wave_days
from services.aggregator.statistics import Share
from services.aggregator.statistics.scores import satisfied

FEWEST: Final = 50
"""Fewer answers than this are not shown to the public (D9)."""


@dataclass(frozen=True, slots=True)
class Counted:
    """The counters of one unit in one month."""

    scores: tuple[int, ...]
    delivered: int
    asked: int
    reached: int | None = None
    """None in months that were closed before receipts were counted."""

    @property
    def answers(self) -> int:
        """How many answers there are."""
        return sum(self.scores)

    @property
    def satisfied(self) -> Share | None:
        """The share of faces 4 and 5."""
        return satisfied(self.scores)


@dataclass(frozen=True, slots=True)
class Revision:
    """One revision of a closed month: the counters by cut and value."""

    number: int
    reason: str
    closed_at: datetime
    cells: Mapping[tuple[str, str], Counted]
    sums: Mapping[int, int] = field(default_factory=dict)
    """How often each sum of the three questions of the index was given, 3 to 30."""
    zone_data: Sequence[str] | None = None
    """The versions of the time-zone data that it was counted with, where they were kept."""

    @property
    def total(self) -> Counted:
        """The counters of everything."""
        return self.cells.get((TOTAL, ""), Counted((0, 0, 0, 0, 0), 0, 0))

    def of_cut(self, cut: str) -> dict[str, Counted]:
        """The counters of a cut by value."""
        return {value: counted for (name, value), counted in self.cells.items() if name == cut}


@dataclass(frozen=True, slots=True)
class Month:
    """A closed month as the public sees it; `waiting` revisions would show single answers and are held back."""

    number: int
    first: Revision
    shown: Revision
    corrections: tuple[Revision, ...] = ()
    waiting: int = 0


def month_of(number: int, revisions: Sequence[Revision]) -> Month:
    """The month in the latest revision that can be shown beside what was shown before.

    Two revisions that are both public can be subtracted. So a correction is shown only where each cell of it has
    changed by nothing or by the answers of fifty people and more; a smaller one waits until it is part of a greater.
    """
    shown, corrections, waiting = revisions[0], [], 0
    for later in revisions[1:]:
        if _safe(shown, later):
            corrections.append(later)
            shown, waiting = later, 0
        else:
            waiting += 1
    return Month(number, revisions[0], shown, tuple(corrections), waiting)


def _safe(old: Revision, new: Revision) -> bool:
    none = Counted((0, 0, 0, 0, 0), 0, 0)
    for key in {k for k in old.cells.keys() | new.cells.keys() if _is_told(k[0])}:
        before, after = old.cells.get(key, none).scores, new.cells.get(key, none).scores
        if 0 < _people(a - b for a, b in zip(after, before, strict=True)) < FEWEST:
            return False
    said = _people(new.sums.get(n, 0) - old.sums.get(n, 0) for n in old.sums.keys() | new.sums.keys())
    return not 0 < said < FEWEST


def _is_told(cut: str) -> bool:
    return cut in {TOTAL, "method", "disrupted"} or wave_days(cut) is not None


def _people(moved: Iterable[int]) -> int:
    """How many people at least are behind it that bins moved so: each leaves one bin, enters one, or both."""
    by = list(moved)
    return max(sum(n for n in by if n > 0), -sum(n for n in by if n < 0))
