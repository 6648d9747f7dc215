"""Statistics of few and many answers. Pure; every number that a page shows beside a share comes from here."""

import math
from dataclasses import dataclass

_Z = 1.959963984540054
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
    p, z2 = k / n, _Z * _Z
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    reach = _Z / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    # The ends are exact where nobody or everybody said so; rounding must not move them.
    return (0.0 if k == 0 else middle - reach, 1.0 if k == n else middle + reach)


def share_of(k: int, n: int) -> Share | None:
    """The share of `k` in `n`, or None where there is none yet."""
    if n <= 0 or not 0 <= k <= n:
        return None
    return Share(k, n, *wilson(k, n))


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
