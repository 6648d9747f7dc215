"""How many days pass until an EWMA chart signals, worked out and not simulated. Pure.

Source: the Markov chain of Brook and Evans, Biometrika 59 (1972), as Lucas and Saccucci use it for the EWMA,
Technometrics 32 (1990). The chart's level moves among bands of equal width; what a day's answers make of it depends on
the day before alone.
"""

import math

import numpy as np

from services.aggregator.statistics.change import WEIGHT, WIDTH, Floats

_BANDS = 150
"""From the expectation to the lasting limit."""
_DEEP = 8.0
"""So many standard deviations of the level below the expectation, nothing lower is told apart."""
_NORMAL = 6.0, 1201
_SETTLED = 1e-9


def ewma_run_length(expected: float, true: float, answers: int) -> float:
    """How many days pass on average until the EWMA of one unit lies above its limit, with so many answers a day.

    `true` is the dissatisfied share, `expected` what the chart is set to. The limit is the upper one alone, and widens
    from the first day on, as `change.Charts` has it.
    """
    counts = np.arange(answers + 1)
    noise = math.sqrt(expected * (1 - expected) / answers)
    return days_until((counts / answers - expected) / noise, _binomial(answers, true))


def normal_run_length(shift: float, width: float = WIDTH, weight: float = WEIGHT) -> float:
    """The same for normal values that lie `shift` standard deviations too high, and two limits that never widen.

    So it stands in the table of Lucas and Saccucci, from which `WIDTH` is taken.
    """
    reach, number = _NORMAL
    values = np.linspace(shift - reach, shift + reach, number)
    chances = np.exp(-((values - shift) ** 2) / 2)
    return days_until(values, chances / chances.sum(), width=width, weight=weight, both_sides=True, widening=False)


def days_until(
    values: Floats,
    chances: Floats,
    *,
    width: float = WIDTH,
    weight: float = WEIGHT,
    both_sides: bool = False,
    widening: bool = True,
) -> float:
    """Mean number of days until an EWMA of such daily values signals; values are in standard deviations of a day.

    Args:
        values: what a day may give, less what is expected.
        chances: of each of them; they add up to 1.
        width: the limits, in standard deviations of the level.
        weight: of the newest day.
        both_sides: signal below the lower limit too.
        widening: the limits of day t hold for t days; else the lasting ones hold from the first day on.
    """
    lasting = math.sqrt(weight / (2 - weight))
    step = width * lasting / (_BANDS + 0.5)
    below = _BANDS if both_sides else max(_BANDS, math.ceil(_DEEP * lasting / step))
    middles = np.arange(-below, _BANDS + 1, dtype=np.float64) * step
    chain = _chain(middles, step, weight * values, chances, weight, open_below=not both_sides)
    still = (middles == 0).astype(np.float64)
    days, narrowing = 0.0, 1.0
    while widening and (narrowing := narrowing * (1 - weight) ** 2) > _SETTLED:
        days += float(still.sum())
        still = (still @ chain) * _inside(middles, step, width * lasting * math.sqrt(1 - narrowing))
    return days + float(still @ np.linalg.solve(np.eye(len(middles)) - chain, np.ones(len(middles))))


def _chain(middles: Floats, step: float, moves: Floats, chances: Floats, weight: float, *, open_below: bool) -> Floats:
    """The chance to come from each band into each other one; what leaves the bands is no more in it."""
    size = len(middles)
    at = ((1 - weight) * middles[:, None] + moves[None, :] - middles[0]) / step
    if open_below:
        at = np.maximum(at, 0.0)
    low = np.floor(at).astype(np.int64)
    upper = at - low
    chain = np.zeros((size, size))
    rows = np.broadcast_to(np.arange(size)[:, None], at.shape)
    # A level between two middles is shared by both. The limit lies half a step above the last one.
    for places, share in ((low, 1 - upper), (low + 1, upper)):
        inside = (places >= 0) & (places < size)
        np.add.at(chain, (rows[inside], places[inside]), (share * chances)[inside])
    return chain


def _inside(middles: Floats, step: float, limit: float) -> Floats:
    """How much of each band lies below the limit of a day."""
    found: Floats = np.clip((limit - middles) / step + 0.5, 0.0, 1.0)
    return found


def _binomial(answers: int, share: float) -> Floats:
    counts = range(answers + 1)
    logs = [
        math.lgamma(answers + 1)
        - math.lgamma(k + 1)
        - math.lgamma(answers - k + 1)
        + k * math.log(share)
        + (answers - k) * math.log1p(-share)
        for k in counts
    ]
    return np.exp(logs)
