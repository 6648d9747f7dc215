"""Days and months as the counters number them: from the beginning of 1970 on. Pure."""

from datetime import date
from typing import Final

_EPOCH: Final = date(1970, 1, 1)


def day_number(day: date) -> int:
    """Days since 1970."""
    return (day - _EPOCH).days


def month_of_day(day: date) -> int:
    """Months since 1970."""
    return 12 * (day.year - _EPOCH.year) + day.month - 1


def first_day(month: int) -> date:
    """The first day of a month by its number."""
    return date(_EPOCH.year + month // 12, month % 12 + 1, 1)
