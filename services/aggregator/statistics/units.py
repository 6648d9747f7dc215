"""Comparing units: shrunken shares of small ones, and an order that claims no more than the intervals allow. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.aggregator.statistics.shares import Share, share_of, wilson_of_share

Floats = NDArray[np.float64]
NEVER_RANKED = frozenset({"driver"})
"""People are not ranked, whatever the intervals say (C16)."""


def names_people(properties: Iterable[str]) -> bool:
    """Whether the values of a cut by these name single people: nobody else is told their figures (C17)."""
    return not NEVER_RANKED.isdisjoint(properties)


@dataclass(frozen=True, slots=True)
class Prior:
    """A Beta distribution of the units' true shares."""

    a: float
    b: float

    def shrunk(self, k: int, n: int) -> float:
        """The share of a unit, pulled to its parent the more the fewer its answers: `(k + a) / (n + a + b)` (D5)."""
        return (k + self.a) / (n + self.a + self.b)


def fitted(units: Sequence[tuple[int, int]]) -> Prior | None:
    """The Beta distribution of a parent's units, each (k, n), by moments; None where nothing was counted.

    Source: the moment estimator of the beta-binomial (Kleinman, JASA 68 (1973)) with weights n. The strength
    a + b lies between 1 answer and all of them: units that do not differ get all.
    """
    counted = [(k, n) for k, n in units if n > 0]
    total = sum(n for _, n in counted)
    if total == 0:
        return None
    # Half an answer each way keeps a parent of only satisfied people from being certain.
    mean = (sum(k for k, _ in counted) + 0.5) / (total + 1)
    spread = sum(n * (k / n - mean) ** 2 for k, n in counted) / (mean * (1 - mean))
    by_chance = len(counted) - 1
    room = total - sum(n * n for _, n in counted) / total - by_chance
    alike = (spread - by_chance) / room if room > 0 else 0.0
    strength = min(float(total), max(1.0, 1 / alike - 1)) if alike > 0 else float(total)
    return Prior(mean * strength, (1 - mean) * strength)


@dataclass(frozen=True, slots=True)
class Places:
    """Units in the order of concern, by number; and for each unit how many others are surely better, surely worse.

    Where both are nought no difference is shown.
    """

    order: Sequence[int]
    surely_better: Sequence[int]
    surely_worse: Sequence[int]


def by_concern(cut: str, names: Sequence[str], satisfied: Floats) -> Places:
    """Units by the upper bound of their satisfied share, the lowest first (D5, C16).

    `satisfied` has a row for each name: share, lower and upper bound. A unit is better only where the whole
    intervals lie apart.

    Raises:
        ValueError: the cut names people, who are never ranked.
    """
    if names_people(cut.split(".")):
        raise ValueError(f"{cut} is never ranked")
    low, high = satisfied[:, 1], satisfied[:, 2]
    better = len(names) - np.searchsorted(np.sort(low), high, side="right")
    worse = np.searchsorted(np.sort(high), low, side="left")
    order = sorted(range(len(names)), key=lambda i: (high[i], names[i]))
    return Places(order, better.tolist(), worse.tolist())


def latest(hours: Sequence[tuple[int, int]], n: int) -> Share | None:
    """The satisfied share of about the last `n` answers: whole hours, each (satisfied, answers), newest first.

    An hour is not split, so it holds at least `n` answers where there are so many (S0 9).
    """
    k = of = 0
    for satisfied, answers in hours:
        if of >= n:
            break
        k, of = k + satisfied, of + answers
    return share_of(k, of)


def decayed(hours: Sequence[tuple[float, int, int]], half_life: float) -> tuple[float, float, float] | None:
    """The satisfied share where an answer weighs half after `half_life` hours; with Wilson's interval.

    `hours` are (age in hours, satisfied, answers). The interval is that of the effective number of answers,
    `(Σ w n)² / Σ w² n` (Kish). None where nothing was counted (S0 9).
    """
    weighted = [(0.5 ** (age / half_life), k, n) for age, k, n in hours]
    mass = sum(w * n for w, _, n in weighted)
    if mass <= 0:
        return None
    share = min(1.0, sum(w * k for w, k, _ in weighted) / mass)
    return (share, *wilson_of_share(share, mass**2 / sum(w * w * n for w, _, n in weighted)))
