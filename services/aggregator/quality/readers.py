"""Who can subtract numbers of its own from the page: partners, and what is left of a figure for them. Pure.

What a partner was shown is released a few people at a time, and whatever came after the last release is in the page
alone: the difference can be one person. So each public figure needs people enough whom the partner sees nothing of.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from services.aggregator.counting.cuts import JOINT

if TYPE_CHECKING:
    from services.aggregator.quality.revisions import Revision

MERCHANT: Final = "merchant"
_NONE: Final = (0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Left:
    """The answers of a figure that a partner sees nothing of, by score; `unknown` of them may yet be its own."""

    scores: tuple[int, ...]
    unknown: int = 0

    @property
    def fewest(self) -> int:
        """How many they are at least."""
        return max(0, sum(self.scores) - self.unknown)


@dataclass(frozen=True, slots=True)
class Reader:
    """A partner: whose deliveries it sees (none: everybody's), of which months (none: of all)."""

    merchants: frozenset[str] | None
    months: frozenset[int] | None = None

    def sees(self, month: int) -> bool:
        """Whether it was or may be shown numbers about this month."""
        return self.months is None or month in self.months

    def left(self, revision: "Revision") -> Left:
        """What is left of all answers of a month."""
        if self._sees_all(revision):
            return Left(_NONE)
        return Left(_less(revision.total.scores, self._own(revision, MERCHANT)))

    def left_of(self, revision: "Revision", cut: str, value: str) -> Left:
        """What is left of one value of a cut. Where the cut is not counted by merchant, all may be the partner's."""
        if self._sees_all(revision):
            return Left(_NONE)
        by = {v: self._own(revision, f"{MERCHANT}.{cut}", v) for v in revision.of_cut(cut)}
        unknown = sum(self._own(revision, MERCHANT)) - sum(map(sum, by.values()))
        return Left(_less(revision.of_cut(cut)[value].scores, by[value]), max(0, unknown))

    def _sees_all(self, revision: "Revision") -> bool:
        return self.merchants is None or not revision.by_merchant

    def _own(self, revision: "Revision", cut: str, value: str | None = None) -> tuple[int, ...]:
        names = [m if value is None else f"{m}{JOINT}{value}" for m in self.merchants or ()]
        found = [revision.cells[cut, name].scores for name in names if (cut, name) in revision.cells]
        return tuple(map(sum, zip(_NONE, *found, strict=True)))


def is_of_merchants(cut: str) -> bool:
    """Whether a cut is by merchant: read to know a partner's own part, and never told."""
    return cut.split(".", maxsplit=1)[0] == MERCHANT


def rest(whole: Left, parts: Sequence[Left]) -> Left:
    """What is left of a whole without some of its parts."""
    scores = whole.scores
    for part in parts:
        scores = _less(scores, part.scores)
    return Left(scores, max((p.unknown for p in parts), default=whole.unknown))


def _less(scores: tuple[int, ...], part: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(a - b for a, b in zip(scores, part, strict=True))
