"""Alarms of the change detection as marks on the live line: when one was raised, of which row, since which day. Pure.

A mark holds no counters. It stands only where the figures of its row stand: neither the row nor the alarm's own day
may be hidden, or the mark would tell what people said whose answers are too few to be shown.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from services.aggregator.counting.cuts import JOINT
from services.aggregator.figures.figures import FEWEST
from services.aggregator.statistics import to_hide

_MARKED_FOR: Final = timedelta(minutes=5)
"""As long as the line reaches, and a little more."""
_EPOCH: Final = date(1970, 1, 1)
Row = Mapping[str, Any]


def marked_since(now: datetime, zone: ZoneInfo) -> datetime:
    """Alarms raised from this moment on are marked: those of today, and at midnight the latest a little longer."""
    midnight = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    return min(midnight, now - _MARKED_FOR)


def marks_of(alarms: Sequence[Row], days: Sequence[Row], zone: ZoneInfo) -> list[dict[str, Any]]:
    """The marks of alarms, in their order, without those of a day on which their row is hidden.

    `days` are the counters of all rows by day. A day that is not among them tells nothing of its alarms.
    """
    told = {day: shown_on(day, days) for day in {a["day"] for a in alarms}}
    return [
        {
            "value": a["value"].split(JOINT)[0],
            "at": a["raised_at"].timestamp(),
            "time": a["raised_at"].astimezone(zone).strftime("%H:%M"),
            "since": (_EPOCH + timedelta(days=a["since"])).isoformat(),
        }
        for a in alarms
        if a["value"] in told[a["day"]]
    ]


def shown_on(day: int, days: Sequence[Row]) -> set[str]:
    """The rows whose figures of a day are shown."""
    of_day = [r for r in days if r["day"] == day and r["answers"]]
    hidden = to_hide([r["answers"] for r in of_day], FEWEST)
    return {r["value"] for i, r in enumerate(of_day) if i not in hidden}


def still_shown(marks: Sequence[dict[str, Any]], rows: Collection[Row]) -> list[dict[str, Any]]:
    """The marks of those rows that are shown at this moment."""
    shown = {r["value"] for r in rows}
    return [m for m in marks if m["value"] in shown]
