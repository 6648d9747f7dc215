"""Bounds of partitions that hold whole months: of moments, or of ids that begin with theirs."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from services.chassis.ids import first_of

_BOUNDS = re.compile(r"^FOR VALUES FROM \('?([^')]+)'?\) TO \('?([^')]+)'?\)$")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Bounds:
    """How the first moment of a day stands in a bound.

    Attributes:
        write: a bound at the day's first moment.
        day: the day of a bound; None for MINVALUE, MAXVALUE, and what we did not write.
    """

    write: Callable[[date], str]
    day: Callable[[str], date | None]

    def read(self, told: str) -> tuple[date | None, date | None]:
        """Both bounds of a partition as PostgreSQL tells them; None for those that are not clear."""
        found = _BOUNDS.match(told)
        return (None, None) if found is None else (self.day(found[1]), self.day(found[2]))


def midnight(day: date) -> datetime:
    """A day's first moment, in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _day_of_moment(text: str) -> date | None:
    try:
        return datetime.fromisoformat(text).astimezone(UTC).date()
    except ValueError:
        return None


def _day_of_id(text: str) -> date | None:
    try:
        return (_EPOCH + timedelta(milliseconds=UUID(text).int >> 80)).date()
    except (ValueError, OverflowError):
        return None


OF_MOMENTS = Bounds(lambda day: f"{day} 00:00+00", _day_of_moment)
"""A column of moments."""
OF_IDS = Bounds(lambda day: str(first_of(midnight(day))), _day_of_id)
"""Ids as `time_ordered` makes them."""
