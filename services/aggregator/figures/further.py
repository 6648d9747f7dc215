"""Figures beside the satisfied share: further questions, early less late answers, and how far silence reaches. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from services.aggregator.counting.cuts import JOINT
from services.aggregator.counting.reading import EARLY, LATE
from services.aggregator.figures.figures import FEWEST
from services.aggregator.statistics import Share
from services.aggregator.statistics.means import mean_interval, nps_of
from services.aggregator.statistics.response import early_late, worst_case
from services.aggregator.statistics.scores import acsi_form_index, ease

RECOMMEND, EASE, INDEX = "recommend", "ease", "index"
_RANGES: Final = {
    RECOMMEND: (0, 10),
    INDEX: (3, 30),
    EASE: (1, 5),
    "courtesy": (1, 5),
    "time_kept": (1, 5),
    "expectation": (1, 5),
    "contactability": (1, 5),
}
"""What each question is answered with, in the order in which they are shown; the index has the sum of three."""
QUESTIONS: Final = tuple(_RANGES)
Cell = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """A further question: `value` with its interval, or None where fewer than the least answered it.

    `recommend` is in points from -100 to 100, `index` from 0 to 100, all others are means of 1 to 5; `easy` is the
    share of 4 and 5 of the question about ease.
    """

    name: str
    answers: int | None
    value: tuple[float, float, float] | None
    easy: Share | None = None


@dataclass(frozen=True, slots=True)
class Waves:
    """Early less late satisfied share with its interval, and of how many answers each; None: a side has too few."""

    early: int | None
    late: int | None
    apart: tuple[float, float, float] | None


def asked_of(said: Mapping[str, Mapping[int, int]]) -> list[Asked]:
    """The further questions that anybody answered, from how often each value was given."""
    found = []
    for name, (least, most) in _RANGES.items():
        bins = [said.get(name, {}).get(value, 0) for value in range(least, most + 1)]
        if 0 < sum(bins) < FEWEST:
            found.append(Asked(name, None, None))
        elif sum(bins):
            easy = ease(bins)[1] if name == EASE else None
            found.append(Asked(name, sum(bins), _value(name, bins), easy))
    return found


def _value(name: str, bins: Sequence[int]) -> tuple[float, float, float]:
    if name == RECOMMEND:
        return nps_of(bins)
    if name == INDEX:
        return index_of_sums(bins)
    mean, low, high = mean_interval(bins)
    return mean, max(1.0, low), min(5.0, high)


def index_of_sums(bins: Sequence[int]) -> tuple[float, float, float]:
    """The index of ACSI form with its interval, from how often each sum of its three questions was given, 3 to 30.

    Raises:
        ValueError: fewer than two answers.
    """
    # Equal weights, so the mean of the sum tells all; bins begin at 1, sums at 3.
    value, low, high = (acsi_form_index(x, x, x) for x in ((m + 2) / 3 for m in mean_interval(bins)))
    return value, max(0.0, low), min(100.0, high)


def waves_of(cells: Sequence[Cell]) -> Waves | None:
    """Early and late answers from the cells of a unit's waves; None where they are not counted or nobody answered."""
    sides = {}
    for wave in (EARLY, LATE):
        scores = [c["scores"] for c in cells if c["value"].split(JOINT)[-1] == wave]
        sides[wave] = (sum(sum(s[3:]) for s in scores), sum(sum(s) for s in scores))
    (_, early), (_, late) = sides.values()
    if not early + late:
        return None
    if min(early, late) < FEWEST:
        return Waves(None, None, None)
    return Waves(early, late, early_late(sides[EARLY], sides[LATE]))


def silence(satisfied: Share | None, asked: int) -> tuple[float, float] | None:
    """Where the satisfied share of all who were asked must lie, whatever the silent ones think."""
    if satisfied is None or satisfied.n > asked:
        return None
    return worst_case(satisfied.k, satisfied.n, asked)
