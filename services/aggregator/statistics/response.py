"""Who answered, and how far those who did not could move a figure (D6, E17). Pure."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from services.aggregator.statistics.shares import Share, difference, share_of, wilson_of_share

FEWEST_IN_STRATUM = 10
"""Strata with fewer answers are joined with their nearest one. Source: D6."""
LOWEST_RATE = 0.05
MOST_UNEVEN = 2.0
MOST_APART = 0.10
Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stratum:
    """`satisfied` of `answers` in a part of all `deliveries`."""

    deliveries: int
    answers: int
    satisfied: int

    def __add__(self, other: "Stratum") -> "Stratum":
        return Stratum(
            self.deliveries + other.deliveries, self.answers + other.answers, self.satisfied + other.satisfied
        )


@dataclass(frozen=True, slots=True)
class Weighted:
    """A post-stratified share with its 95 % interval, its design effect and the strata that remained."""

    share: float
    low: float
    high: float
    design_effect: float
    strata: Mapping[Key, Stratum]


def response_rates(answered: int, reached: int, eligible: int) -> tuple[Share | None, Share | None]:
    """Answered of reached, and answered of eligible; None where nobody was. Always tell both (D6)."""
    return share_of(answered, reached), share_of(answered, eligible)


def collapsed(strata: Mapping[Key, Stratum], fewest: int = FEWEST_IN_STRATUM) -> dict[Key, Stratum]:
    """Strata joined until each has `fewest` answers: the smallest goes to the one it shares most of its key with."""
    left = {key: s for key, s in strata.items() if s.deliveries > 0}
    # By the beginning of their key, the smallest first: two years of months with a thousand strata are joined at once.
    near: dict[Key, list[tuple[int, Key]]] = defaultdict(list)
    for key, s in left.items():
        for n in range(len(key) + 1):
            near[key[:n]].append((s.answers, key))
    for heap in near.values():
        heapify(heap)
    while len(left) > 1:
        smallest = _smallest(near[()], left)[0]
        if left[smallest].answers >= fewest:
            break
        part = left.pop(smallest)
        alike = (_smallest(near[smallest[:n]], left) for n in range(len(smallest), -1, -1))
        nearest = next(found for found in alike if found)[0]
        left[nearest] += part
        for n in range(len(nearest) + 1):
            heappush(near[nearest[:n]], (left[nearest].answers, nearest))
    return left


def _smallest(heap: list[tuple[int, Key]], left: Mapping[Key, Stratum]) -> Sequence[Key]:
    """The key of the stratum with the fewest answers, alone; none where nothing is left. Drops what was joined."""
    while heap and (heap[0][1] not in left or left[heap[0][1]].answers != heap[0][0]):
        heappop(heap)
    return [heap[0][1]] if heap else []


def post_stratified(strata: Mapping[Key, Stratum]) -> Weighted | None:
    """The satisfied share if every stratum had answered alike: `Σ N_h p_h / Σ N_h`. None where nobody answered.

    The design effect is Kish's `n Σw² / (Σw)²` with the weight N_h / n_h of each answer; the interval is
    Wilson's with n divided by it. Source: D6; Kish, Survey Sampling (1965).
    """
    parts = collapsed(strata)
    n = sum(s.answers for s in parts.values())
    if n == 0 or any(s.answers == 0 for s in parts.values()):
        return None
    population = sum(s.deliveries for s in parts.values())
    share = sum(s.deliveries * s.satisfied / s.answers for s in parts.values()) / population
    effect = n * sum(s.deliveries**2 / s.answers for s in parts.values()) / population**2
    low, high = wilson_of_share(min(1.0, share), n / effect)
    return Weighted(share, low, high, effect, parts)


def worst_case(satisfied: int, answered: int, eligible: int) -> tuple[float, float]:
    """Where the share of all who could have answered must lie, whatever the silent ones think.

    Source: Manski's bounds, `[RR p, RR p + (1 - RR)]` (D6).

    Raises:
        ValueError: nobody could have answered, or more answered than could.
    """
    if not 0 <= satisfied <= answered <= eligible or eligible == 0:
        raise ValueError(f"{satisfied} of {answered} of {eligible} bound nothing")
    return satisfied / eligible, (satisfied + eligible - answered) / eligible


def early_late(early: tuple[int, int], late: tuple[int, int]) -> tuple[float, float, float] | None:
    """Satisfied share before minus after the reminder, each (satisfied, answered), with Newcombe's interval.

    Those who answer late resemble those who never do; a difference tells which way silence pulls.
    """
    return difference(early, late) if early[1] and late[1] else None


def reasons_not_to_publish(
    share: Share | None,
    eligible: int,
    *,
    fewest: int,
    weighted: Weighted | None = None,
    contrast: tuple[float, float, float] | None = None,
) -> Sequence[str]:
    """Why a figure is too biased to publish (E17); none when it may be.

    `too_few`: fewer answers than `fewest`. `too_silent`: under 5 % of the eligible answered.
    `weights_move_it`: the weighted share lies outside the raw one's interval. `weights_uneven`: the design
    effect is above 2. `late_differ`: early and late answers differ by more than 10 points, and surely.
    The limits are ours.
    """
    if share is None or share.n < fewest:
        return ["too_few"]
    reasons = []
    if share.n < LOWEST_RATE * eligible:
        reasons.append("too_silent")
    if weighted is not None and not share.low <= weighted.share <= share.high:
        reasons.append("weights_move_it")
    if weighted is not None and weighted.design_effect > MOST_UNEVEN:
        reasons.append("weights_uneven")
    if contrast is not None and abs(contrast[0]) > MOST_APART and contrast[1] * contrast[2] > 0:
        reasons.append("late_differ")
    return reasons
