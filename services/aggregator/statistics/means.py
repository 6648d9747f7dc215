"""Means of scores, with Student's interval. Pure."""

import math
from collections.abc import Sequence
from statistics import NormalDist

from services.aggregator.statistics.shares import Z

_TERMS = 500
_TINY = 1e-300
_EXACT = 1e-15
_BISECTIONS = 200


def mean_interval(bins: Sequence[int]) -> tuple[float, float, float]:
    """Mean of scores 1..m with its 95 % t-interval; `bins[i]` answers gave score i + 1.

    Source: Student's t-interval, `mean ± t(0.975, n - 1) * s / sqrt(n)`, s² with n - 1.

    Raises:
        ValueError: fewer than two answers, which have no spread.
    """
    n = sum(bins)
    if n < 2:  # noqa: PLR2004  a spread needs two
        raise ValueError("a mean's interval needs two answers")
    mean = sum(score * k for score, k in enumerate(bins, 1)) / n
    variance = sum(k * (score - mean) ** 2 for score, k in enumerate(bins, 1)) / (n - 1)
    reach = t_quantile(0.975, n - 1) * math.sqrt(variance / n)
    return mean, mean - reach, mean + reach


def smiley_index(mean: float, faces: int = 5) -> float:
    """A mean of faces as 0 to 100, in equal steps: `100 (mean - 1) / (faces - 1)`.

    Equal steps are an assumption: no published measurement of our faces exists, so bins are kept (D4).
    """
    return 100 * (mean - 1) / (faces - 1)


def t_quantile(p: float, df: float) -> float:
    """Student's t quantile of `p` for `df` degrees of freedom, to 1e-8.

    Source: the distribution function by the incomplete beta function (DLMF 8.17), solved by bisection.
    """
    if p == 0.5:  # noqa: PLR2004  the middle
        return 0.0
    if p < 0.5:  # noqa: PLR2004  below the middle
        return -t_quantile(1 - p, df)
    low, high = 0.0, max(2.0, NormalDist().inv_cdf(p))
    while t_below(high, df) < p:
        high *= 2
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if t_below(middle, df) < p else (low, middle)
    return (low + high) / 2


def t_below(t: float, df: float) -> float:
    """The probability that Student's t with `df` degrees of freedom lies below `t` (0 or more)."""
    return 1 - incomplete_beta(df / 2, 0.5, df / (df + t * t)) / 2


def incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function I_x(a, b), by Lentz's continued fraction (DLMF 8.17.22)."""
    if x in (0.0, 1.0):
        return x
    if x > (a + 1) / (a + b + 2):
        return 1 - incomplete_beta(b, a, 1 - x)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    fraction, c, d = 1.0, 1.0, 0.0
    for n in range(_TERMS):
        m = n // 2
        if n == 0:
            term = 1.0
        elif n % 2 == 0:
            term = m * (b - m) * x / ((a + n - 1) * (a + n))
        else:
            term = -(a + m) * (a + b + m) * x / ((a + n - 1) * (a + n))
        d = 1 / _away(1 + term * d)
        c = _away(1 + term / c)
        fraction *= c * d
        if abs(c * d - 1) < _EXACT:
            break
    return front * (fraction - 1) / a


def _away(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def nps(promoters: int, detractors: int, n: int) -> tuple[float, float, float]:
    """Net promoter score in points, -100 to 100, with its 95 % interval; scores 9-10 promote, 0-6 detract.

    Source: D4, D5; variance `(P + D - (P - D)²) / n` of shares P and D.

    Raises:
        ValueError: nothing was counted, or more than all.
    """
    if n <= 0 or min(promoters, detractors) < 0 or promoters + detractors > n:
        raise ValueError(f"{promoters} and {detractors} of {n} are no promoters and detractors")
    p, d = promoters / n, detractors / n
    reach = Z * math.sqrt((p + d - (p - d) ** 2) / n)
    return 100 * (p - d), 100 * max(-1.0, p - d - reach), 100 * min(1.0, p - d + reach)


def nps_of(bins: Sequence[int]) -> tuple[float, float, float]:
    """The net promoter score of eleven bins, 0 to 10."""
    if len(bins) != 11:  # noqa: PLR2004  0 to 10
        raise ValueError("promoters are asked on a scale from 0 to 10")
    return nps(sum(bins[9:]), sum(bins[:7]), sum(bins))
