"""A simulated year of deliveries by the hour: how far its busiest day and hour stand above the mean. Pure.

The shape is an assumption, written down: carriers tell a peak day of some two mean working days, and hardly any hours.
Put your own days and hours in to get your own factors.
"""

from dataclasses import dataclass

import numpy as np

_DAYS = 365


@dataclass(frozen=True, slots=True)
class Shape:
    """How deliveries fall over a year.

    Attributes:
        week: weight of each weekday, Monday first.
        season: weight by day of the year where it changes; between two of them it moves evenly.
        hours: weight of each hour of a day.
        swing: how much a day differs from its weight by chance, as a share.
    """

    week: tuple[float, ...]
    season: tuple[tuple[int, float], ...]
    hours: tuple[float, ...]
    swing: float = 0.05


HOURS = (0, 0, 0, 0, 0, 0, 0.5, 3, 6, 8, 9, 9, 8.5, 8, 8, 8.5, 9.5, 10, 8, 5.5, 3, 1, 0.2, 0)
"""Home deliveries by day with a wave in the evening, and pick-ups after work."""
SEASON = ((0, 0.95), (31, 0.9), (180, 0.92), (210, 0.85), (235, 0.95), (315, 1.15), (330, 1.7), (340, 1.6), (352, 1.75))
"""Summer is calm, from the sales of late November to the days before Christmas it is busiest."""
SIX_DAYS = Shape((1.15, 1.1, 1.05, 1.05, 1.05, 0.55, 0.05), (*SEASON, (358, 0.7), (364, 0.9)), HOURS)
FIVE_DAYS = Shape((1.2, 1.1, 1.05, 1.05, 1.05, 0.1, 0.0), (*SEASON, (358, 0.7), (364, 0.9)), HOURS)


@dataclass(frozen=True, slots=True)
class Peak:
    """What a simulated year shows.

    Attributes:
        day: deliveries of the busiest day, as a multiple of the mean day.
        hour: share of that day's deliveries in its busiest hour.
        a_second: deliveries a second in the busiest hour of the year.
    """

    day: float
    hour: float
    a_second: float


def simulate(deliveries: float, shape: Shape, seed: int) -> Peak:
    """One year of about so many deliveries, each hour drawn by chance around its weight."""
    dice = np.random.default_rng(seed)
    days = np.arange(_DAYS)
    season = np.interp(days, [day for day, _ in shape.season], [weight for _, weight in shape.season])
    weights = season * np.array(shape.week)[days % 7] * dice.lognormal(0, shape.swing, _DAYS)
    hours = np.array(shape.hours) / sum(shape.hours)
    drawn = dice.poisson(deliveries * np.outer(weights / weights.sum(), hours))
    by_day = drawn.sum(axis=1)
    busiest = int(by_day.argmax())
    return Peak(
        day=float(by_day[busiest] / by_day.mean()),
        hour=float(drawn[busiest].max() / by_day[busiest]),
        a_second=float(drawn.max() / 3_600),
    )


def years(deliveries: float, shape: Shape, count: int = 100) -> list[Peak]:
    """So many years, each with its own chance."""
    return [simulate(deliveries, shape, seed) for seed in range(count)]
