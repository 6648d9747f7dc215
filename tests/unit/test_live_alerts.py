"""Marks of alarms on the live line: only where the figures of their row stand, and without any figure of it."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from services.aggregator.live.alerts import marked_since, marks_of, still_shown

STOCKHOLM = ZoneInfo("Europe/Stockholm")
RAISED = datetime(2026, 10, 13, 9, 10, 30, tzinfo=UTC)
TODAY = 20739
"""13 October 2026, counted from 1970."""


def alarm(value: str, day: int = TODAY, since: int = TODAY - 1) -> dict[str, Any]:
    return {"value": value, "day": day, "since": since, "raised_at": RAISED}


def of_day(day: int = TODAY, **answers: int) -> list[dict[str, Any]]:
    return [{"value": value, "day": day, "answers": n} for value, n in answers.items()]


def marked(alarms: list[dict[str, Any]], days: list[dict[str, Any]]) -> list[str]:
    return [m["value"] for m in marks_of(alarms, days, STOCKHOLM)]


def test_a_mark_says_when_and_since_when_on_the_clock_of_the_deliveries_and_no_figure() -> None:
    [mark] = marks_of([alarm("Årsta")], of_day(Årsta=40), STOCKHOLM)
    assert mark == {"value": "Årsta", "at": 1791882630.0, "time": "11:10", "since": "2026-10-12"}


@pytest.mark.parametrize(("answers", "told"), [(4, []), (5, ["Kiruna"])])
def test_an_alarm_of_a_row_with_too_few_answers_is_not_marked(answers: int, told: list[str]) -> None:
    assert marked([alarm("Kiruna")], of_day(Kiruna=answers, Årsta=40, Luleå=50)) == told


def test_an_alarm_of_a_row_that_hides_with_a_smaller_one_is_not_marked() -> None:
    alarms = [alarm("Luleå"), alarm("Årsta")]
    assert marked(alarms, of_day(Kiruna=3, Luleå=9, Årsta=40)) == ["Årsta"]
    assert marked(alarms, of_day(Luleå=9, Årsta=40)) == ["Luleå", "Årsta"]


def test_the_day_of_the_alarm_decides_and_a_day_that_is_not_known_tells_of_none() -> None:
    days = [*of_day(Kiruna=3, Luleå=9, Årsta=40), *of_day(TODAY - 1, Luleå=9, Årsta=40)]
    assert marked([alarm("Luleå"), alarm("Luleå", TODAY - 1)], days) == ["Luleå"]
    assert marked([alarm("Årsta", TODAY - 2)], days) == []


def test_rows_of_one_method_are_named_by_their_terminal() -> None:
    days = [{"value": "Årsta × home_day", "day": TODAY, "answers": 9}]
    assert marked([alarm("Årsta × home_day")], days) == ["Årsta"]


@pytest.mark.parametrize(
    ("now", "since"),
    [
        ("2026-10-13T15:00:00+02:00", "2026-10-13T00:00:00+02:00"),
        ("2026-10-13T00:02:00+02:00", "2026-10-12T23:57:00+02:00"),
        ("2026-10-25T15:00:00+01:00", "2026-10-25T00:00:00+02:00"),  # clocks went back that night
    ],
)
def test_alarms_are_marked_on_the_day_that_they_are_raised_and_for_five_minutes(now: str, since: str) -> None:
    at = datetime.fromisoformat(now).astimezone(UTC)
    assert marked_since(at, STOCKHOLM).astimezone(UTC) == datetime.fromisoformat(since).astimezone(UTC)


def test_marks_leave_with_the_row_that_they_are_about() -> None:
    marks = marks_of([alarm("Luleå"), alarm("Årsta")], of_day(Luleå=9, Årsta=40), STOCKHOLM)
    assert [m["value"] for m in still_shown(marks, [{"value": "Årsta"}, {"value": "Umeå"}])] == ["Årsta"]
