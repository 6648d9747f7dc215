"""Working time of a desk: when first contact is due, and how much of the time is left. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from services.chassis.failures import MustStop
from services.chassis.public_holidays import is_holiday

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_FORM = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun)(?:-(Mon|Tue|Wed|Thu|Fri|Sat|Sun))? (\d\d)-(\d\d)")
_LONGEST_SEARCH = 400
_MIDNIGHT = 24


@dataclass(frozen=True, slots=True)
class WorkingHours:
    """When people work: days of the week from Monday (0), hours by the clock on the wall."""

    days: frozenset[int]
    opens: int
    closes: int

    @classmethod
    def parse(cls, text: str) -> "WorkingHours":
        """Read `Mon-Fri 08-18`.

        Raises:
            MustStop: written otherwise, or no time is left between the hours.
        """
        found = _FORM.fullmatch(text)
        if found is None or not int(found[3]) < int(found[4]) <= _MIDNIGHT:
            raise MustStop("wrong setting KVITTERA_CASE_WORKING_HOURS: write it like Mon-Fri 08-18")
        first, last = _DAYS.index(found[1]), _DAYS.index(found[2] or found[1])
        length = (last - first) % len(_DAYS) + 1
        return cls(frozenset((first + n) % len(_DAYS) for n in range(length)), int(found[3]), int(found[4]))


@dataclass(frozen=True, slots=True)
class WorkingClock:
    """Counts the time in which people of one place work.

    Attributes:
        zone: the IANA name of the place's time zone.
        country: whose public holidays are kept; a country that is not known keeps none.
    """

    hours: WorkingHours
    zone: str
    country: str

    def after(self, start: datetime, working: timedelta) -> datetime:
        """The moment at which so much working time has passed since `start`."""
        left = working
        for opens, closes in self._spans(start):
            begins = max(opens, start)
            if closes - begins >= left:
                return begins + left
            left -= closes - begins
        raise ValueError("no working time within a year")

    def between(self, start: datetime, end: datetime) -> timedelta:
        """The working time from `start` to `end`; none where `end` comes first."""
        passed = timedelta(0)
        for opens, closes in self._spans(start):
            begins = max(opens, start)
            if begins >= end:
                break
            passed += min(closes, end) - begins
        return passed

    def _spans(self, start: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Yield the working spans that end after `start`, in UTC: a day of 23 or 25 hours counts as long as it is."""
        zone = ZoneInfo(self.zone)
        first = start.astimezone(zone).date()
        for day in (first + timedelta(days=n) for n in range(_LONGEST_SEARCH)):
            if day.weekday() not in self.hours.days or is_holiday(self.country, day):
                continue
            opens = _moment(day, self.hours.opens, zone)
            closes = _moment(day, self.hours.closes, zone)
            if closes > start:
                yield opens, closes


def _moment(day: date, hour: int, zone: ZoneInfo) -> datetime:
    if hour == _MIDNIGHT:
        day, hour = day + timedelta(days=1), 0
    return datetime.combine(day, time(hour), zone).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class TimeLeft:
    """How a deadline stands now: `share` of the time allowed is left; past it, `late` says by how much."""

    left: timedelta
    share: float
    late: timedelta


def time_left(clock: WorkingClock, due: datetime, allowed: timedelta, now: datetime) -> TimeLeft:
    """How much working time is left until `due`, and which share that is of what was allowed."""
    left = clock.between(now, due)
    return TimeLeft(left, min(1.0, left / allowed), clock.between(due, now))
