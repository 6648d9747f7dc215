"""Statistics of few and many answers. Pure; every number that a page shows beside a share comes from here."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Z: float = 1.959963984540054
"""95 % of a normal distribution lie within this many standard deviations."""


@dataclass(frozen=True, slots=True)
class Share:
    """`k` of `n`, with its 95 % interval."""

    k: int
    n: int
    low: float
    high: float

    @property
    def share(self) -> float:
        """The share itself, 0 to 1."""
        return self.k / self.n


def wilson(k: int, n: int) -> tuple[float, float]:
    """The 95 % Wilson interval of `k` in `n`: honest also for few answers and for shares near 0 and 1.

    Raises:
        ValueError: nothing was counted, or more than all.
    """
    if not 0 <= k <= n or n == 0:
        raise ValueError(f"{k} of {n} is no share")
    return wilson_of_share(k / n, n)


def wilson_of_share(p: float, n: float) -> tuple[float, float]:
    """The same of a share of `n` answers, where `n` may be an effective number of weighted answers."""
    z2 = Z * Z
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    reach = Z / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    # The ends are exact where nobody or everybody said so; rounding must not move them.
    return (0.0 if p == 0 else middle - reach, 1.0 if p == 1 else middle + reach)


def wilson_many(k: ArrayLike, n: ArrayLike) -> NDArray[np.float64]:
    """Shares and Wilson intervals of many cells at once: columns share, low, high; NaN where nothing was counted."""
    hits, of = np.asarray(k, np.float64), np.asarray(n, np.float64)
    of = np.where(of > 0, of, np.nan)
    p, z2 = hits / of, Z * Z
    middle = (p + z2 / (2 * of)) / (1 + z2 / of)
    reach = Z / (1 + z2 / of) * np.sqrt(p * (1 - p) / of + z2 / (4 * of * of))
    low, high = np.where(p == 0, 0.0, middle - reach), np.where(p == 1, 1.0, middle + reach)
    return np.stack([p, low, high], axis=-1)


def difference(first: tuple[int, int], second: tuple[int, int]) -> tuple[float, float, float]:
    """Share of `first` minus that of `second`, each (k, n), with Newcombe's 95 % interval from Wilson's.

    Source: Newcombe, Interval estimation for the difference between independent proportions, Statistics in
    Medicine 17 (1998), method 10.

    Raises:
        ValueError: nothing was counted on a side.
    """
    return apart((first[0] / first[1], *wilson(*first)), (second[0] / second[1], *wilson(*second)))


def apart(one: tuple[float, float, float], other: tuple[float, float, float]) -> tuple[float, float, float]:
    """The difference of two independent figures, each (figure, low, high), with its interval.

    Source: the method of variance estimates recovery (MOVER), Zou and Donner, Statistics in Medicine 27 (2008).
    """
    (a, a_low, a_high), (b, b_low, b_high) = one, other
    low = a - b - math.hypot(a - a_low, b_high - b)
    return (a - b, low, a - b + math.hypot(a_high - a, b - b_low))


def share_of(k: int, n: int) -> Share | None:
    """The share of `k` in `n`, or None where there is none yet."""
    if n <= 0 or not 0 <= k <= n:
        return None
    return Share(k, n, *wilson(k, n))


def per_thousand(k: int, n: int) -> float:
    """`k` of `n` per thousand.

    Raises:
        ZeroDivisionError: nothing was counted.
    """
    return 1000 * k / n


def to_hide(answers: list[int], fewest: int) -> set[int]:
    """Which of these siblings must stay hidden, so that no count under `fewest` can be seen or worked out (D9).

    The parent is shown, so one hidden sibling is the parent minus the others: hide at least two, and until
    the hidden ones together are `fewest`.
    """
    order = sorted(range(len(answers)), key=lambda i: answers[i])
    hidden: set[int] = set()
    together = 0
    for place in order:
        enough = len(hidden) > 1 and together >= fewest
        if answers[place] >= fewest and (enough or not hidden):
            break
        hidden.add(place)
        together += answers[place]
    return hidden
