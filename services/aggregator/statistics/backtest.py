"""Back-test of the change detection: what it promises against simulated answers with and without a shift. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.aggregator.statistics.change import (
    CUSUM_LIMIT,
    FALSE_SHARE,
    ODDS,
    Alarm,
    Charts,
    alarms,
    cusum_run_length,
    cusum_weights,
)
from services.aggregator.statistics.run_lengths import ewma_run_length

_RUNS = 400
_UNITS, _SHIFTED, _DAYS, _SHIFT_DAY = 200, 20, 60, 20
_FEWEST = 5
_COME = (0.60, 0.25, 0.10, 0.05)
"""So much of a day's answers comes until the day is judged, and on each of the days behind."""
_UNTIL_JUDGED = 0.5
"""So many days after its end a day is judged."""


@dataclass(frozen=True, slots=True)
class Check:
    """One promise: what the design says and what the simulation found, in the same unit."""

    name: str
    design: float
    found: float
    at_most: bool = False
    """The design is a bound and not an expectation."""


def shifted(p: float, odds: float) -> float:
    """The share whose odds are `odds` times those of `p`."""
    return odds * p / (1 - p + odds * p)


def run_length(dice: np.random.Generator, expected: float, true: float, runs: int = _RUNS) -> float:
    """Mean number of answers until one unit's CUSUM signals, answer by answer."""
    up, down = (float(w) for w in cusum_weights(expected))
    sums, steps = np.zeros(runs), np.zeros(runs)
    running = np.ones(runs, np.bool_)
    while running.any():
        hits = dice.random(int(running.sum())) < true
        sums[running] = np.maximum(0.0, sums[running] + np.where(hits, up, down))
        steps[running] += 1
        running &= sums < CUSUM_LIMIT
    return float(steps.mean())


def ewma_days(dice: np.random.Generator, expected: float, true: float, answers: int, runs: int = _RUNS) -> float:
    """Mean number of days until one unit's EWMA lies above its limit, with so many answers a day."""
    charts = Charts(np.full(runs, expected))
    daily, days = np.full(runs, answers), np.zeros(runs)
    running = np.ones(runs, np.bool_)
    while running.any():
        charts.move(dice.binomial(daily, true), daily)
        days[running] += 1
        running &= ~charts.above()
    return float(days.mean())


def backtest(seed: int) -> Iterator[Check]:
    """Simulate and compare; the same seed gives the same numbers."""
    dice = np.random.default_rng(seed)
    for p in (0.05, 0.10):
        worse = shifted(p, ODDS)
        yield Check(
            f"CUSUM: answers until a true alarm, {p:.2f} to {worse:.3f}",
            cusum_run_length(p, worse),
            run_length(dice, p, worse),
        )
        yield Check(f"CUSUM: answers until a false alarm at {p:.2f}", cusum_run_length(p, p), run_length(dice, p, p))
    for p, answers in ((0.05, 20), (0.10, 90)):
        worse, where = shifted(p, ODDS), f"{answers} answers each"
        yield Check(
            f"EWMA: days, {where}, until a true alarm, {p:.2f} to {worse:.3f}",
            ewma_run_length(p, worse, answers),
            ewma_days(dice, p, worse, answers),
        )
        yield Check(
            f"EWMA: days, {where}, until a false alarm at {p:.2f}",
            ewma_run_length(p, p, answers),
            ewma_days(dice, p, p, answers),
        )
    yield from _whole(dice)


def judged_day_by_day(
    dissatisfied: NDArray[np.int64], answers: NDArray[np.int64], expected: NDArray[np.float64]
) -> list[Alarm]:
    """The alarms of days that are judged once each while answers about those before still come.

    The arrays are units by days by how many days ago the day was judged; the last of these holds from then on.
    """
    units, days, ages = answers.shape
    signalled = np.zeros((units, days), np.bool_)
    found = []
    for day in range(days):
        past, ago = np.arange(day + 1), np.minimum(np.arange(day, -1, -1), ages - 1)
        bad, of = dissatisfied[:, past, ago], answers[:, past, ago]
        told = alarms(bad, of, expected, _FEWEST, first=day, signalled=signalled)
        signalled[[a.unit for a in told], day] = True
        found += told
    return found


def _whole(dice: np.random.Generator, rounds: int = 20) -> Iterator[Check]:
    false_shares, delays, missed, false_alarms = [], [], 0, 0
    for _ in range(rounds):
        expected = dice.uniform(0.03, 0.12, _UNITS)
        answers = dice.poisson(dice.uniform(5, 80, _UNITS)[:, None], (_UNITS, _DAYS))
        true = np.repeat(expected[:, None], _DAYS, axis=1)
        true[:_SHIFTED, _SHIFT_DAY:] = shifted(expected[:_SHIFTED, None], 3)  # type: ignore[arg-type]
        come = np.cumsum(parts := dice.multinomial(answers, _COME), axis=2)
        found = judged_day_by_day(np.cumsum(dice.binomial(parts, true[:, :, None]), axis=2), come, expected)
        false = [a for a in found if a.unit >= _SHIFTED or a.day < _SHIFT_DAY]
        false_alarms += len(false)
        false_shares.append(len(false) / max(1, len(found)))
        first = {a.unit: a.day for a in reversed(found) if a.unit < _SHIFTED and a.day >= _SHIFT_DAY}
        missed += _SHIFTED - len(first)
        delays += [day - _SHIFT_DAY + 1 + _UNTIL_JUDGED for day in first.values()]
    yield Check("both: share of false alarms", FALSE_SHARE, float(np.mean(false_shares)), at_most=True)
    days = rounds * (_UNITS * _DAYS - _SHIFTED * (_DAYS - _SHIFT_DAY))
    yield Check("both: false alarms per 1,000 unit-days", 1.0, 1000 * false_alarms / days, at_most=True)
    yield Check("both: median days until odds times three are told", 14.0, float(np.median(delays)), at_most=True)
    yield Check("both: share of shifts not told in 40 days", 0.10, missed / (rounds * _SHIFTED), at_most=True)
