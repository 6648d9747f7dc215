"""Days on which the people of a country are free."""

from datetime import date
from functools import cache

import holidays

_CATEGORIES = {"SE": ("public", "de_facto")}  # midsommarafton and julafton are free although no law says so


@cache
def _holidays_of(country: str) -> holidays.HolidayBase | None:
    try:
        return holidays.country_holidays(country, categories=_CATEGORIES.get(country, ("public",)))
    except NotImplementedError:
        return None


def is_holiday(country: str, day: date) -> bool:
    """Whether people of this country are free on this day; a country that is not known keeps no holidays."""
    known = _holidays_of(country)
    return known is not None and day in known
