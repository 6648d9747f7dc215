"""Schedules drawn over all zones, and an oracle for them that shares no code with what it judges.

The oracle looks at every minute between the moment a message is ready and the moment it leaves, on the clock on the
wall; it knows nothing of beginnings and ends. Offsets are read every quarter of an hour, and every minute in a quarter
within which they change, as at Casey in the Antarctic, where it was one minute past midnight.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import numpy as np

from services.notifier.policy.sections import HoursRule

ZONES = sorted(available_timezones() - {"Factory", "localtime"})
_DAY = 24 * 60
_WEEK = 7 * _DAY
_START = datetime(2020, 1, 1, tzinfo=UTC)
_THURSDAY = 3  # 1 January 1970


@dataclass(frozen=True, slots=True)
class Hours:
    """Quiet hours in minutes of the day, perhaps preferred ones, and whether weekends are free."""

    rule: HoursRule
    allowed: np.ndarray
    """For each minute of the week from Monday, whether a message may leave."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """One case."""

    hours: Hours
    zone: str
    ready: datetime


def draw_hours(dice: random.Random) -> Hours:
    """Quiet hours of any length to the minute, now and then preferred hours and free weekends too."""
    while True:
        quiet, preferred = dice.sample(range(_DAY), 2), dice.sample(range(_DAY), 2)
        told: dict[str, object] = {"quiet_from": written(quiet[0]), "quiet_until": written(quiet[1])}
        day = ~between(*quiet)
        if dice.random() < 0.3:
            told |= {"preferred_from": written(preferred[0]), "preferred_until": written(preferred[1])}
            day &= between(*preferred)
        week = np.tile(day, 7)
        if dice.random() < 0.2:
            told["weekends"] = False
            week[5 * _DAY :] = False
        if day.any():
            return Hours(HoursRule.model_validate(told), week)


def between(start: int, end: int) -> np.ndarray:
    """For each minute of the day, whether it lies in a span that may run over midnight."""
    minutes = np.arange(_DAY)
    return (minutes - start) % _DAY < (end - start) % _DAY


def written(minute: int) -> str:
    """A minute of the day as the policy writes it."""
    return f"{minute // 60:02d}:{minute % 60:02d}"


@cache
def nights(zone: str) -> list[datetime]:
    """The hours of 2020 to 2029 in which the zone's clock is changed."""
    place = ZoneInfo(zone)
    weeks = [_START + timedelta(weeks=n) for n in range(521)]
    return [_change(place, a, b) for a, b in pairwise(weeks) if _differ(place, a, b)]


def _change(place: ZoneInfo, early: datetime, late: datetime) -> datetime:
    """The hour of the change between two moments with different offsets."""
    while late - early > timedelta(hours=1):
        middle = early + (late - early) / 2
        early, late = (early, middle) if _differ(place, early, middle) else (middle, late)
    return early


def _differ(place: ZoneInfo, one: datetime, other: datetime) -> bool:
    return one.astimezone(place).utcoffset() != other.astimezone(place).utcoffset()


def draw(dice: random.Random, hours: list[Hours]) -> Drawn:
    """A case; half of those in zones with such nights lie within two days of a change of the clock."""
    zone = dice.choice(ZONES)
    changes = nights(zone)
    if changes and dice.random() < 0.5:
        start = dice.choice(changes) + timedelta(seconds=dice.randrange(-48 * 3600, 48 * 3600))
    else:
        start = _START + timedelta(seconds=dice.randrange(10 * 365 * 24 * 3600))
    return Drawn(dice.choice(hours), zone, start.replace(microsecond=0))


def violations(case: Drawn, at: datetime) -> list[str]:
    """What is wrong with letting the message leave at `at`."""
    if at < case.ready:
        return ["it leaves before it is ready"]
    begin, end = int(case.ready.timestamp()) // 900, int(at.timestamp()) // 900 + 1
    wall = np.arange(begin * 15, end * 15) + _offsets(ZoneInfo(case.zone), begin, end)
    of_week = (wall + _THURSDAY * _DAY) % _WEEK
    first, last = int(case.ready.timestamp()) // 60 - begin * 15, int(at.timestamp()) // 60 - begin * 15
    allowed = case.hours.allowed[of_week[first : last + 1]]
    found = [] if allowed[-1] else ["it leaves at a forbidden time"]
    if allowed[:-1].any():
        found.append("it is held although it might have left earlier")
    if at > case.ready and at.second:
        found.append("it is held for a part of a minute")
    return found


def _offsets(place: ZoneInfo, begin: int, end: int) -> np.ndarray:
    """The offset in minutes at each minute of the quarters of an hour from `begin` up to `end`, counted since 1970."""

    def at(minute: int) -> int:
        offset = datetime.fromtimestamp(minute * 60, place).utcoffset()
        assert offset is not None
        return int(offset.total_seconds()) // 60

    edges = [at(quarter * 15) for quarter in range(begin, end + 1)]
    offsets = np.repeat(edges[:-1], 15)
    for n, (early, late) in enumerate(pairwise(edges)):
        if early != late:
            offsets[n * 15 : n * 15 + 15] = [at((begin + n) * 15 + minute) for minute in range(15)]
    return offsets


def look_at(number: int, seed: int, leave: Callable[[Drawn], datetime]) -> list[str]:
    """Draw so many cases, let each leave by `leave(case)`, and tell the violations."""
    dice = random.Random(seed)
    hours = [draw_hours(dice) for _ in range(500)]
    cases = (draw(dice, hours) for _ in range(number))
    return [f"{case}: {wrong}" for case in cases for wrong in violations(case, leave(case))]
