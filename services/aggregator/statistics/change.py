"""Change detection with controlled false alarms: EWMA, risk-adjusted CUSUM, and Benjamini-Hochberg over units. Pure.

Both charts look for more dissatisfied answers than expected. A unit whose chart signals is told of only when it
also passes Benjamini and Hochberg's test over all units of that day, so that many units do not mean many false
alarms. Both promise what they promise of one look at each day; whoever looks at a day twice has more false alarms.
The p-value of a CUSUM S is at most exp(-S), because it adds up log likelihood ratios (Wald); charts that
are tested so are those of Gandy and Lau, Biometrika 100 (2013). The EWMA's is the binomial tail of its effective
number of answers.
"""

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from services.aggregator.statistics.means import incomplete_beta

Floats = NDArray[np.float64]
Chart = Literal["cusum", "ewma"]
ODDS = 2.0
"""The CUSUM is tuned to odds of a dissatisfied answer that doubled."""
CUSUM_LIMIT = 3.5
"""Source: D8, the BMJ Quality and Safety table, for expectations of .01 to .10."""
WEIGHT = 0.1
WIDTH = 2.814
"""Limits of the EWMA in standard deviations. Two that never widen give one false alarm in 500 days with weight 0.1
(Lucas and Saccucci 1990); what ours gives, the upper one alone and widening, tells `run_lengths.ewma_run_length`."""
FALSE_SHARE = 0.05
"""Of the alarms of a day at most this share is false in the long run, half of it for each chart."""


def cusum_weights(expected: ArrayLike, odds: float = ODDS) -> tuple[Floats, Floats]:
    """What a dissatisfied and any other answer add: `y ln(OR) - ln(1 - p0 + OR p0)` (D8)."""
    p0 = np.asarray(expected, np.float64)
    satisfied = -np.log(1 - p0 + odds * p0)
    return satisfied + math.log(odds), satisfied


def discoveries(p_values: ArrayLike, false_share: float) -> NDArray[np.bool_]:
    """Which hypotheses to reject so that at most `false_share` of the rejected are true.

    Source: Benjamini and Hochberg, Journal of the Royal Statistical Society B 57 (1995).
    """
    p = np.asarray(p_values, np.float64)
    if not len(p):
        return np.zeros(0, np.bool_)
    order = np.sort(p)
    passing = np.flatnonzero(order <= false_share * np.arange(1, len(p) + 1) / len(p))
    found: NDArray[np.bool_] = p <= (order[passing[-1]] if len(passing) else -1.0)
    return found


@dataclass(frozen=True, slots=True)
class Alarm:
    """Unit number `unit` signalled on day `day`; its chart has been up since day `since`."""

    unit: int
    day: int
    since: int
    chart: Chart
    statistic: float
    limit: float


@dataclass(slots=True)
class Charts:
    """Both charts of all units of a cut, day by day. `expected` is each unit's dissatisfied share, above 0 below 1."""

    expected: Floats
    fewest: int = 1
    _sum: Floats = field(init=False)
    _level: Floats = field(init=False)
    _spread: Floats = field(init=False)
    _mass: Floats = field(init=False)
    _cusum_since: NDArray[np.int64] = field(init=False)
    _ewma_since: NDArray[np.int64] = field(init=False)
    _day: int = 0

    def __post_init__(self) -> None:
        """Begin with nothing seen."""
        units = len(self.expected)
        self._sum, self._spread, self._mass = np.zeros(units), np.zeros(units), np.zeros(units)
        self._level = self.expected.copy()
        self._cusum_since, self._ewma_since = np.zeros(units, np.int64), np.zeros(units, np.int64)

    def add(self, dissatisfied: NDArray[np.int64], answers: NDArray[np.int64]) -> list[Alarm]:
        """Take a day's answers of all units; the alarms that they raise. A unit that signals begins anew."""
        self.move(dissatisfied, answers)
        fresh = answers >= self.fewest
        cusum = discoveries(np.exp(-self._sum), FALSE_SHARE / 2) & (self._sum >= CUSUM_LIMIT) & fresh
        reach = self.reach()
        ewma = discoveries(self._ewma_tails(), FALSE_SHARE / 2) & self.above() & fresh & ~cusum
        alarms = [
            Alarm(u, self._day, int(self._cusum_since[u]), "cusum", float(self._sum[u]), CUSUM_LIMIT)
            for u in np.flatnonzero(cusum).tolist()
        ] + [
            Alarm(
                *(u, self._day, int(self._ewma_since[u]), "ewma"),
                *(float(self._level[u]), float(self.expected[u] + reach[u])),
            )
            for u in np.flatnonzero(ewma).tolist()
        ]
        self._day += 1
        self._begin_anew(cusum | ewma)
        return alarms

    def pass_by(
        self, dissatisfied: NDArray[np.int64], answers: NDArray[np.int64], signalled: NDArray[np.bool_]
    ) -> None:
        """Take a day that was judged before. Its alarms are those of then, whatever has come since."""
        self.move(dissatisfied, answers)
        self._day += 1
        self._begin_anew(signalled)

    def move(self, dissatisfied: NDArray[np.int64], answers: NDArray[np.int64]) -> None:
        """Take a day's answers of all units into both charts, and ask neither for an alarm."""
        up, down = cusum_weights(self.expected)
        some = answers > 0
        n = np.where(some, answers, 1)
        self._sum = np.maximum(0.0, self._sum + dissatisfied * up + (answers - dissatisfied) * down)
        self._level = np.where(some, WEIGHT * dissatisfied / n + (1 - WEIGHT) * self._level, self._level)
        noise = self.expected * (1 - self.expected) / n
        self._spread = np.where(some, WEIGHT**2 * noise + (1 - WEIGHT) ** 2 * self._spread, self._spread)
        self._mass = np.where(some, WEIGHT + (1 - WEIGHT) * self._mass, self._mass)
        self._cusum_since[self._sum == 0] = self._day + 1
        self._ewma_since[self._level <= self.expected] = self._day + 1

    def above(self) -> NDArray[np.bool_]:
        """Whose EWMA lies above its limit, whatever the other units do."""
        return self._level > self.expected + self.reach()

    def reach(self) -> Floats:
        """How far above its expectation each unit's EWMA may lie (D8).

        With `n` answers on each of `t` days this is `L σ sqrt(λ / (2 - λ) (1 - (1 - λ)^2t))`, σ² = p (1 - p) / n.
        """
        found: Floats = WIDTH * np.sqrt(self._spread)
        return found

    def _ewma_tails(self) -> Floats:
        p = np.ones(len(self.expected))
        for u in np.flatnonzero(self.above() & (self._spread > 0)).tolist():
            p0, mass = float(self.expected[u]), float(self._mass[u])
            # The weighted mean of the days so far, without the expectation that the chart began with.
            n = p0 * (1 - p0) * mass**2 / float(self._spread[u])
            k = min(n, (p0 + (float(self._level[u]) - p0) / mass) * n)
            # P(X >= k) of a binomial, for any real k.
            p[u] = incomplete_beta(k, n - k + 1, p0)
        return p

    def _begin_anew(self, units: NDArray[np.bool_]) -> None:
        self._sum[units] = 0.0
        self._spread[units] = self._mass[units] = 0.0
        self._level[units] = self.expected[units]
        self._cusum_since[units] = self._ewma_since[units] = self._day


def alarms(
    dissatisfied: NDArray[np.int64],
    answers: NDArray[np.int64],
    expected: Floats,
    fewest: int,
    *,
    first: int = 0,
    signalled: NDArray[np.bool_] | None = None,
) -> list[Alarm]:
    """The alarms of the days from number `first` on; the arrays are units by days.

    The days before were judged already: answers that came late move the charts, and raise no alarm. `signalled` says
    which units began anew on which of them.
    """
    charts = Charts(expected, fewest)
    before = np.zeros(answers.shape, np.bool_) if signalled is None else signalled
    for day in range(first):
        charts.pass_by(dissatisfied[:, day], answers[:, day], before[:, day])
    return [a for day in range(first, answers.shape[1]) for a in charts.add(dissatisfied[:, day], answers[:, day])]


def cusum_run_length(expected: float, true: float, limit: float = CUSUM_LIMIT, odds: float = ODDS) -> float:
    """How many answers pass on average until the CUSUM of one unit signals, when `true` is the dissatisfied share.

    Source: the Markov chain of Brook and Evans, Biometrika 59 (1972), on steps of a 400th of the limit.
    """
    up, down = (float(w) for w in cusum_weights(expected, odds))
    states = 400
    step = limit / states
    chain = np.eye(states)
    for state in range(states):
        for weight, p in ((up, true), (down, 1 - true)):
            at = max(0.0, state * step + weight)
            low = int(at / step)
            part = at / step - low
            # What falls between two states is shared by them.
            if low < states:
                chain[state, low] -= p * (1 - part)
            if low + 1 < states:
                chain[state, low + 1] -= p * part
    return float(np.linalg.solve(chain, np.ones(states))[0])
