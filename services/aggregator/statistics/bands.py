"""The band of the live line: how far the smoothed share of short windows strays by chance (D8). Pure.

The line is an EWMA (Roberts, Technometrics 1 (1959)). Its band is no test and raises no alarm: it shows at a glance
whether the last minutes are unusual. Alarms come from days and are held to their number (`change`).
"""

import math
from typing import Final

WEIGHT: Final = 0.15
"""Of the newest window. D8 names 0.05 to 0.2; with windows of two seconds half of the line is of the last nine seconds.
Ours."""
WIDTH: Final = 2.7
"""Reach of the band in standard deviations. D8 names 2.7 to 3: the narrowest shows a fall soonest, and a line that
strays by chance for a moment costs nobody anything. Ours."""


def smoothed(level: float, share: float) -> float:
    """The line after a window of such a share: `λ x + (1 - λ) z`."""
    return (1 - WEIGHT) * level + WEIGHT * share


def spread(before: float, usual: float, answers: int) -> float:
    """The variance of the line after one more window of so many answers: `(1 - λ)² v + λ² p (1 - p) / n`."""
    return (1 - WEIGHT) ** 2 * before + WEIGHT**2 * usual * (1 - usual) / answers


def band(usual: float, variance: float, answers: int) -> tuple[float, float]:
    """From where to where the line may stray by chance around what is usual: `p ± L √(v + p (1 - p) / N)`.

    What is usual is itself known only as well as its answers, so many, can tell. The ends stay from 0 to 1.
    """
    reach = WIDTH * math.sqrt(variance + usual * (1 - usual) / answers)
    return max(0.0, usual - reach), min(1.0, usual + reach)
