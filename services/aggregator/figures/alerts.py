"""Alarms of the change detection: derived from the day cells of a month, told once each on `satisfaction.alert.v1`.

The charts of a month begin anew on its first day and run through its day cells. Each day is judged once, when it is
over everywhere: who looks at a day as often as its answers come has many times the false alarms that the charts
promise. What comes later moves the charts of the days behind it. What a unit is expected to have comes from the two
months before, pulled towards all units of the cut.
"""

import asyncio
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray

from schemas.satisfaction import AlertChart, SatisfactionAlert, Window
from schemas.topics import SATISFACTION_ALERT
from services.aggregator.calendar import day_number, first_day, month_of_day
from services.aggregator.counting.windows import base_of, window_start
from services.aggregator.figures.figures import FEWEST
from services.aggregator.statistics.change import Alarm, alarms
from services.aggregator.statistics.shares import wilson
from services.aggregator.statistics.units import fitted, names_people
from services.chassis.attempts import tried_again_later
from services.chassis.failures import MustStop
from services.chassis.pauses import pause_or_stop
from services.chassis.postgres import Database, Pool, database_time, named_sql

log = structlog.get_logger()
REFERENCE_MONTHS = 2
FEWEST_EXPECTED_FROM = 100
"""So many answers of the months before tell what is usual; with fewer a cut is not watched."""
_LOWEST, _HIGHEST = 0.005, 0.5
OVER_EVERYWHERE = timedelta(hours=12)
"""So long after its end by UTC a day is over in every zone, and most who answer have answered where it ended early."""
_EPOCH = date(1970, 1, 1).toordinal()
_ALERTS = uuid.UUID("6b3f1b0e-3c5f-5d0a-9a44-0c1f6f1f8f27")


@dataclass(frozen=True, slots=True)
class Days:
    """The days of a month of all watched units of a cut; arrays are units by days from `first`."""

    units: Sequence[str]
    first: int
    dissatisfied: NDArray[np.int64]
    answers: NDArray[np.int64]
    expected: NDArray[np.float64]


def watched_cuts(setting: str) -> Sequence[str]:
    """The cuts that a setting names.

    Raises:
        MustStop: it names people, who are never watched (C16).
    """
    cuts = tuple(c.strip() for c in setting.split(",") if c.strip())
    if people := [c for c in cuts if names_people(c.split("."))]:
        raise MustStop(f"KVITTERA_ALERT_CUTS names {', '.join(people)}: people are not watched")
    return cuts


def days_of_month(month: int) -> tuple[int, int]:
    """First and last day of a month, all counted from 1970."""
    return day_number(first_day(month)), day_number(first_day(month + 1)) - 1


def last_over(now: datetime) -> int:
    """The latest day that is over everywhere, counted from 1970."""
    return day_number((now.astimezone(UTC) - OVER_EVERYWHERE).date()) - 1


def not_judged(judged: int | None, last: int) -> list[tuple[int, int]]:
    """The days up to `last` that are still to be judged: first and last of each stretch, a month at most.

    Before any day was judged that is the month of `last`. What lies longer back than the month before is let go.
    """
    month = month_of_day(date.fromordinal(_EPOCH + last))
    first, _ = days_of_month(month)
    if judged is None:
        return [(first, last)]
    begin = max(judged + 1, days_of_month(month - 1)[0])
    return [s for s in ((begin, first - 1), (max(begin, first), last)) if s[0] <= s[1]]


def arranged(reference: Sequence[Mapping[str, Any]], days: Sequence[Mapping[str, Any]], month: int) -> Days | None:
    """Counters as arrays, with what each unit is expected to have; None where too little tells what is usual."""
    usual: dict[str, tuple[int, int]] = {}
    for row in reference:
        k, n = usual.get(row["value"], (0, 0))
        usual[row["value"]] = (k + row["dissatisfied"], n + row["answers"])
    prior = fitted(list(usual.values()))
    if prior is None or sum(n for _, n in usual.values()) < FEWEST_EXPECTED_FROM:
        return None
    units = sorted({row["value"] for row in days})
    first, last = days_of_month(month)
    place = {value: i for i, value in enumerate(units)}
    counts = np.zeros((2, len(units), last - first + 1), np.int64)
    for row in days:
        counts[:, place[row["value"]], row["index"] - first] = row["dissatisfied"], row["answers"]
    expected = np.array([prior.shrunk(*usual.get(u, (0, 0))) for u in units])
    return Days(units, first, counts[0], counts[1], np.clip(expected, _LOWEST, _HIGHEST))


def found_in(days: Days, first: int, known: Sequence[tuple[str, int, int]]) -> list[Alarm]:
    """The alarms of the days from `first` on; `known` are those told before, each (value, since, day)."""
    place = {value: i for i, value in enumerate(days.units)}
    signalled = np.zeros(days.answers.shape, np.bool_)
    for value, _, day in known:
        if value in place and day >= days.first:
            signalled[place[value], day - days.first] = True
    charted = days.dissatisfied, days.answers, days.expected
    return alarms(*charted, FEWEST, first=first - days.first, signalled=signalled)


def message(cut: str, days: Days, alarm: Alarm, responses: Sequence[str], now: datetime) -> SatisfactionAlert:
    """An alarm as the topic tells it."""
    value = days.units[alarm.unit]
    stretch = slice(alarm.since, alarm.day + 1)
    k, n = int(days.dissatisfied[alarm.unit, stretch].sum()), int(days.answers[alarm.unit, stretch].sum())
    low, high = wilson(k, n)
    start, since = (window_start(Window.DAY, days.first + d) for d in (alarm.day, alarm.since))
    return SatisfactionAlert(
        alert_id=str(uuid.uuid5(_ALERTS, f"{cut}|{value}|{start}")),
        cut=cut,
        value=value,
        window=Window.DAY,
        start=start or "",
        since=since or "",
        chart=AlertChart(alarm.chart),
        dissatisfied=k,
        answers=n,
        share=k / n,
        low=low,
        high=high,
        expected=float(days.expected[alarm.unit]),
        statistic=alarm.statistic,
        limit=alarm.limit,
        responses=tuple(responses),
        raised_at=now,
    )


@dataclass(frozen=True, slots=True)
class Alerts:
    """Finds new alarms and keeps them, with the record that tells of them, in one transaction."""

    cuts: Sequence[str]
    sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.aggregator", "figures.sql"))

    async def look(self, connection: Database, now: datetime) -> list[SatisfactionAlert]:
        """Judge every day that is over and was not judged yet. Returns what was told now."""
        told: list[SatisfactionAlert] = []
        last = last_over(now)
        # One counter looks at a time; the others leave it to that one.
        async with connection.transaction(isolation="repeatable_read"):
            if not await connection.fetchval(self.sql["lock_watch"]):
                return told
            judged = {r["cut"]: r["day"] for r in await connection.fetch(self.sql["judged_days"])}
            for cut in self.cuts:
                for stretch in not_judged(judged.get(cut), last):
                    told += await self.judge(connection, cut, *stretch, now)
        return told

    async def judge(
        self, connection: Database, cut: str, first: int, last: int, now: datetime
    ) -> list[SatisfactionAlert]:
        """Tell of every alarm of these days of one month whose stretch was not told of before.

        A cut of which nothing is known yet stays to be judged.
        """
        month = month_of_day(date.fromordinal(_EPOCH + last))
        read = self.sql["dissatisfied_by_unit"]
        reference = await connection.fetch(read, cut, base_of(Window.MONTH), month - REFERENCE_MONTHS, month - 1)
        rows = await connection.fetch(read, cut, base_of(Window.DAY), days_of_month(month)[0], last)
        days = arranged([dict(r) for r in reference], [dict(r) for r in rows], month)
        if days is None or not rows:
            return []
        known = [
            (r["value"], r["since"], r["day"])
            for r in await connection.fetch(self.sql["told_alerts"], cut, *days_of_month(month))
        ]
        told = []
        for alarm in found_in(days, first, known):
            value, since, day = days.units[alarm.unit], days.first + alarm.since, days.first + alarm.day
            if not any(v == value and s <= day and d >= since for v, s, d in known):
                told.append(await self._tell(connection, cut, days, alarm, now))
        await connection.execute(self.sql["keep_judged"], cut, last)
        return told

    async def _tell(self, connection: Database, cut: str, days: Days, alarm: Alarm, now: datetime) -> SatisfactionAlert:
        value, since, day = days.units[alarm.unit], days.first + alarm.since, days.first + alarm.day
        rows = await connection.fetch(self.sql["dissatisfied_responses"], cut, value, 24 * since, 24 * day + 23)
        told = message(cut, days, alarm, [r["response_id"] for r in rows], now)
        body = told.model_dump_json(exclude_none=True)
        await connection.execute(
            self.sql["keep_alert"],
            *(uuid.UUID(told.alert_id), cut, value, day, since, body, now),
            *(SATISFACTION_ALERT, told.alert_id.encode(), body.encode()),
        )
        return told

    async def listed(
        self,
        connection: Database,
        *,
        cut: str | None = None,
        value: str | None = None,
        first: int = 0,
        last: int = 1 << 30,
        limit: int = 100,
    ) -> list[SatisfactionAlert]:
        """Alarms that were told, the newest first."""
        rows = await connection.fetch(self.sql["list_alerts"], cut, value, first, last, limit)
        return [SatisfactionAlert.model_validate_json(r["message"]) for r in rows]


async def watch(
    pool: Pool, alerts: Alerts, seconds: float, stop: asyncio.Event, *, counted: Callable[[], bool] = lambda: True
) -> None:
    """Look for alarms every so many seconds until stopped; never when `seconds` is 0.

    A day is judged once, so nothing is looked for while counters are behind and `counted` says no, and it is over by
    the clock of the database: one process whose own is ahead would have judged days for all.
    """
    while not stop.is_set():
        if seconds > 0 and alerts.cuts and counted():
            with tried_again_later("alerts"):
                async with pool.acquire() as connection:
                    await alerts.look(connection, await database_time(connection))
        await pause_or_stop(seconds or 60, stop)
