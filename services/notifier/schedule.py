"""When a message may leave, by the clock on the recipient's wall. Pure.

A moment is turned into wall time and looked at; to wall times only whole days are added (H80). What may not leave now
is held until the first moment at which it may, and not dropped.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from services.chassis.public_holidays import is_holiday
from services.notifier.policy.sections import HoursRule

_SATURDAY = 5
_LONGEST_SEARCH = 31
_MIDNIGHT = time(0)
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Departure:
    """The first moment at which a message may leave, in UTC, and what it waits for, if it does."""

    at: datetime
    held_by: str | None = None


@lru_cache(maxsize=1024)
def departure(rule: HoursRule, zone: str, country: str, earliest: datetime) -> Departure:
    """When a message may leave that is ready at `earliest`. A batch has one moment and few zones, so it is remembered.

    Args:
        rule: quiet and preferred hours, and free days.
        zone: the IANA name of the recipient's zone.
        country: whose public holidays are kept, if any are.
        earliest: no moment before this one.
    """
    place = ZoneInfo(zone)
    held_by = held(rule, country, earliest.astimezone(place))
    if held_by is None:
        return Departure(earliest.astimezone(UTC))
    today = earliest.astimezone(place).date()
    for day in (today + timedelta(days=n) for n in range(-1, _LONGEST_SEARCH)):
        for moment in sorted(_changes(rule, place, day)):
            if moment > earliest and held(rule, country, moment.astimezone(place)) is None:
                return Departure(moment, held_by)
    raise AssertionError("no rule holds messages for a month")


def held(rule: HoursRule, country: str, local: datetime) -> str | None:
    """What holds a message at this wall time, or None where it may leave."""
    clock = local.time()
    if rule.quiet_from is not None and rule.quiet_until is not None and _in(rule.quiet_from, rule.quiet_until, clock):
        return "quiet_hours"
    if not rule.weekends and local.weekday() >= _SATURDAY:
        return "weekend"
    if not rule.holidays and is_holiday(country, local.date()):
        return "holiday"
    if (
        rule.preferred_from is not None
        and rule.preferred_until is not None
        and not _in(rule.preferred_from, rule.preferred_until, clock)
    ):
        return "preferred_hours"
    return None


def days_later(zone: str, moment: datetime, days: int) -> datetime:
    """So many days after a moment, at the same time of the day on the wall, in UTC."""
    # Python adds days to what stands on the wall, and then looks up how far that zone is from UTC.
    return (moment.astimezone(ZoneInfo(zone)) + timedelta(days=days)).astimezone(UTC)


def _in(start: time, end: time, clock: time) -> bool:
    return start <= clock < end if start < end else clock >= start or clock < end


def _changes(rule: HoursRule, place: ZoneInfo, day: date) -> Iterator[datetime]:
    """Every moment of a day at which something may begin to be allowed, in UTC."""
    for clock in (_MIDNIGHT, rule.quiet_until, rule.preferred_from):
        if clock is not None:
            for fold in (0, 1):  # a wall time that comes twice is two moments
                yield datetime.combine(day, clock, place).replace(fold=fold).astimezone(UTC)
    # A clock that is put forward may jump over the beginning, one that is put back may jump before the end.
    begins, ends = (datetime.combine(d, _MIDNIGHT, place).astimezone(UTC) for d in (day, day + timedelta(days=1)))
    if _offset(place, begins) != _offset(place, ends):
        yield _shift(place, begins, ends)


def _shift(place: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The second at which the offset changes between two moments."""
    old = _offset(place, before)
    while after - before > _SECOND:
        middle = before + (after - before) // 2
        middle = middle.replace(microsecond=0)
        if middle <= before:
            middle = before + _SECOND
        if _offset(place, middle) == old:
            before = middle
        else:
            after = middle
    return after


def _offset(place: ZoneInfo, moment: datetime) -> timedelta | None:
    return moment.astimezone(place).utcoffset()
