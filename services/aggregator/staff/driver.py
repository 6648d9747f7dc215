"""A driver's own page (E6, C17): praise at once, all else only for whole closed months with enough answers and days.

Nobody else can open it: there is no page of drivers for their superiors, and no order among drivers.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from schemas.satisfaction import Window
from services.aggregator.calendar import day_number, month_of_day
from services.aggregator.cells.rows import Cells
from services.aggregator.figures import drawings
from services.aggregator.figures.months import month_number
from services.aggregator.figures.unit_figures import last_day
from services.aggregator.figures.words import interval, month_in_words, percent
from services.aggregator.staff.page import HEADERS, render
from services.aggregator.statistics import Share
from services.aggregator.statistics.scores import dissatisfied, satisfied
from services.chassis.postgres import Pool, named_sql
from services.chassis.staff import Gate
from services.chassis.staff.drivers import driver_behind

FEWEST_ANSWERS: Final = 10
FEWEST_DAYS: Final = 5
"""A month shows more than praise only with so many answers, given on deliveries of so many days."""
_MONTHS: Final = 12
_LANGUAGE: Final = "en"
Cell = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OwnMonth:
    """A closed month of a driver; without shares it holds too few answers or days."""

    number: int
    satisfied: Share | None
    dissatisfied: Share | None


def praise_of(cells: Sequence[Cell], today: date) -> tuple[int, int]:
    """How many were satisfied today and in the last four weeks. How many were not, nobody can tell from it."""
    last = last_day(cells, today).isoformat()
    good = {c["start"]: c["scores"][3] + c["scores"][4] for c in cells}
    return good.get(last, 0), sum(good.values())


def months_of(closed: Mapping[int, Sequence[int]], days: Sequence[Cell]) -> list[OwnMonth]:
    """Closed months, the latest first. `days` are the cells by day that tell on how many days answers came."""
    spread = Counter(month_number(c["start"][:7]) for c in days if c["answers"])
    return [
        OwnMonth(number, satisfied(s), dissatisfied(s))
        if sum(s) >= FEWEST_ANSWERS and spread[number] >= FEWEST_DAYS
        else OwnMonth(number, None, None)
        for number, s in sorted(closed.items(), reverse=True)
    ]


@dataclass(frozen=True, slots=True)
class DriverPages:
    """`/drivers/me`."""

    pool: Pool
    gate: Gate
    now: Callable[[], datetime]
    cells: Cells = field(default_factory=Cells)
    sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.aggregator", "quality.sql"))

    def routes(self) -> list[Route]:
        """The route."""
        return [Route("/drivers/me", self.show)]

    async def show(self, request: Request) -> Response:
        """The page of the driver who is signed in."""
        driver = driver_behind(self.gate, request)
        if isinstance(driver, Response):
            return driver
        now = self.now().astimezone(UTC)
        today = day_number(now.date())
        since = month_of_day(now) - _MONTHS - 1
        async with self.pool.acquire() as connection:
            rows = await connection.fetch(self.sql["closed_months_of_a_driver"], driver, since)
            days = await self.cells.of_cut(
                connection, "driver", Window.DAY, first=today - 31 * (_MONTHS + 1), last=today + 1, value=driver
            )
        closed = {int(r["month"]): [r[f"s{n}"] for n in range(1, 6)] for r in rows}
        lately = [c for c in days if day_number(date.fromisoformat(c["start"])) > today - 28]
        body = told(driver, praise_of(lately, now.date()), months_of(closed, days), now)
        return Response(body, headers=HEADERS, media_type="text/html")


def told(driver: str, praise: tuple[int, int], months: Sequence[OwnMonth], now: datetime) -> bytes:
    """The page."""
    rows = []
    for month in months:
        shown = [(_percent(s), interval(s, _LANGUAGE)) for s in (month.satisfied, month.dissatisfied) if s]
        drawing = drawings.interval(month.satisfied, (0.0, 1.0), width=168) if month.satisfied else ""
        rows.append((month_in_words(month.number, _LANGUAGE), shown, drawing))
    return render(
        "driver.html",
        skip="Skip to your deliveries",
        nav=[],
        driver=driver,
        today=praise[0],
        lately=praise[1],
        months=rows,
        answers=FEWEST_ANSWERS,
        days=FEWEST_DAYS,
        as_of=f"{now:%H:%M} UTC",
    )


def _percent(share: Share) -> str:
    return percent(share.share, share.n, _LANGUAGE)
