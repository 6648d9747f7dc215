"""What a live page looks at: which stretch of time, which rows, one method or all. It stands in the page's address."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from schemas.delivery import Method
from schemas.satisfaction import Window
from services.aggregator.calendar import day_number, month_of_day
from services.aggregator.counting.cuts import SERIES, TOTAL
from services.aggregator.counting.windows import base_of
from services.chassis.failures import MustStop

ROWS: Final = ("terminal", "country", "method")
"""Cuts with few values. People are never rows, and routes or shops would be too many to read four times a second."""
SEVERAL: Final = "terminal.method"
_LONGEST: Final = 400


class Span(StrEnum):
    """A stretch of time, on the clock of the deliveries."""

    TODAY = "today"
    MONTH = "month"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Cells to read: of a cut in a window, of one value or of one method where named."""

    cut: str
    code: int
    value: str | None = None
    method: str | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """What everybody with the same address looks at."""

    span: Span = Span.TODAY
    rows: str = "terminal"
    method: str | None = None

    def total(self, today: date) -> Wanted:
        """The cell of everything in the scope."""
        cut = "method" if self.method else TOTAL
        return Wanted(cut, self._code(today), value=self.method or "")

    def parts(self, today: date) -> Wanted:
        """The cells of the rows."""
        if self.method:
            return Wanted(SEVERAL, self._code(today), method=self.method)
        return Wanted(self.rows, self._code(today))

    def reasons(self, today: date) -> Wanted | None:
        """The cells by reason of not asking; they are not counted by method."""
        return None if self.method else Wanted("reason", self._code(today))

    def apart(self, today: date) -> Wanted | None:
        """The cells of answers that are kept apart, by their series; they are not counted by method."""
        return None if self.method else Wanted(SERIES, self._code(today))

    def _code(self, today: date) -> int:
        match self.span:
            case Span.TODAY:
                return base_of(Window.DAY) + day_number(today)
            case Span.MONTH:
                return base_of(Window.MONTH) + month_of_day(today)
            case _:
                return base_of(Window.ALL)


def scope_of(query: Mapping[str, str]) -> Scope:
    """The scope that an address names; what it leaves out is today, by terminal, all methods.

    Raises:
        ValueError: it names something that cannot be looked at.
    """
    span = Span(query.get("span") or Span.TODAY)
    rows = query.get("rows") or ROWS[0]
    method = query.get("method") or None
    if rows not in ROWS:
        raise ValueError(f"rows is one of {', '.join(ROWS)}")
    if method is not None:
        Method(method)
        rows = ROWS[0]
    return Scope(span, rows, method)


def row_of(query: Mapping[str, str]) -> str:
    """The row that an address chooses for the line; empty where it chooses none."""
    return query.get("row", "")[:_LONGEST]


def zone_named(name: str) -> ZoneInfo:
    """The zone whose clock says what day it is.

    Raises:
        MustStop: there is no such zone.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise MustStop(f"KVITTERA_PAGES_ZONE: there is no zone {name!r}") from None


def today_in(zone: ZoneInfo, now: datetime) -> date:
    """The date on the zone's calendar."""
    return now.astimezone(zone).date()
