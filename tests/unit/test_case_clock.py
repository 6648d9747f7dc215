"""Working time: deadlines over nights, weekends, holidays and changes of the clock."""

from datetime import UTC, date, datetime, timedelta

import pytest

from services.chassis.failures import MustStop
from services.chassis.public_holidays import is_holiday
from services.survey.cases.clock import WorkingClock, WorkingHours, time_left

OFFICE = WorkingHours.parse("Mon-Fri 08-18")
STOCKHOLM = WorkingClock(OFFICE, "Europe/Stockholm", "SE")
ALWAYS = WorkingClock(WorkingHours.parse("Mon-Sun 00-24"), "Europe/Stockholm", "XX")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("start", "hours", "due"),
    [
        ("2026-10-13 12:00", 3, "2026-10-13 15:00"),  # Tuesday, 14 to 17 on the wall
        ("2026-10-13 12:00", 10, "2026-10-14 12:00"),  # 4 h on Tuesday, 6 h on Wednesday
        ("2026-10-13 16:00", 1, "2026-10-14 07:00"),  # comes at closing time, so Wednesday 9
        ("2026-10-13 03:00", 1, "2026-10-13 07:00"),  # comes at night
        ("2026-10-16 15:00", 2, "2026-10-19 07:00"),  # Friday 17: one hour, and one on Monday
        ("2026-10-17 12:00", 10, "2026-10-19 16:00"),  # Saturday
        ("2026-06-18 15:00", 2, "2026-06-22 07:00"),  # the day after is midsommarafton
        ("2026-12-23 16:00", 2, "2026-12-28 08:00"),  # Christmas Eve, Christmas Day, then a weekend
        ("2026-12-30 16:00", 2, "2027-01-04 08:00"),  # New Year's Eve and Day
        ("2026-03-27 16:00", 1, "2026-03-27 17:00"),  # Friday 17 (UTC+1), due as the desk closes
        ("2026-03-27 16:30", 1, "2026-03-30 06:30"),  # the clocks change on Sunday; Monday 8:30 is 06:30 UTC
        ("2026-10-23 15:30", 1, "2026-10-26 07:30"),  # Friday 17:30 (UTC+2); Monday 8:30 is 07:30 UTC
    ],
)
def test_first_contact_is_due_after_so_much_working_time(start: str, hours: int, due: str) -> None:
    assert STOCKHOLM.after(utc(start), timedelta(hours=hours)) == utc(due)


def test_a_day_of_23_hours_and_a_day_of_25_hours_count_as_long_as_they_are() -> None:
    assert ALWAYS.between(utc("2026-03-28 23:00"), utc("2026-03-29 22:00")) == timedelta(hours=23)
    assert ALWAYS.between(utc("2026-10-24 22:00"), utc("2026-10-25 23:00")) == timedelta(hours=25)
    assert ALWAYS.after(utc("2026-03-28 23:00"), timedelta(hours=24)) == utc("2026-03-29 23:00")
    nights = WorkingClock(WorkingHours.parse("Sun 00-06"), "Europe/Stockholm", "SE")
    assert nights.between(utc("2026-03-28 20:00"), utc("2026-03-29 20:00")) == timedelta(hours=5)
    assert nights.between(utc("2026-10-24 20:00"), utc("2026-10-25 20:00")) == timedelta(hours=7)


def test_working_time_counts_the_hours_at_the_desk_only() -> None:
    assert STOCKHOLM.between(utc("2026-10-16 15:00"), utc("2026-10-19 07:00")) == timedelta(hours=2)
    assert STOCKHOLM.between(utc("2026-10-19 07:00"), utc("2026-10-16 15:00")) == timedelta(0)
    assert STOCKHOLM.between(utc("2026-10-19 07:30"), utc("2026-10-19 07:00")) == timedelta(0)
    assert STOCKHOLM.between(utc("2026-12-25 06:00"), utc("2026-12-25 20:00")) == timedelta(0)


def test_another_country_keeps_other_holidays_and_an_unknown_one_keeps_none() -> None:
    assert [is_holiday(c, date(2026, 6, 19)) for c in ("SE", "NO", "DK", "FI")] == [True, False, False, True]
    assert [is_holiday(c, date(2026, 5, 17)) for c in ("SE", "NO")] == [False, True]
    assert [is_holiday(c, date(2026, 12, 25)) for c in ("SE", "NO", "DK", "FI", "DE", "XX")] == [True] * 5 + [False]


def test_the_share_of_time_left_runs_from_one_to_nothing_and_then_tells_how_late_it_is() -> None:
    due, allowed = utc("2026-10-14 12:00"), timedelta(hours=10)
    fresh = time_left(STOCKHOLM, due, allowed, utc("2026-10-13 12:00"))
    assert (fresh.share, fresh.left, fresh.late) == (1.0, timedelta(hours=10), timedelta(0))
    assert time_left(STOCKHOLM, due, allowed, utc("2026-10-13 22:00")).share == 0.6
    assert time_left(STOCKHOLM, due, allowed, utc("2026-10-14 11:00")).left == timedelta(hours=1)
    late = time_left(STOCKHOLM, due, allowed, utc("2026-10-15 06:30"))
    assert (late.share, late.late) == (0.0, timedelta(hours=4, minutes=30))


@pytest.mark.parametrize("text", ["", "Mon-Fri", "08-18", "Mon-Fri 18-08", "Mon-Fri 08-25", "mon-fri 08-18", "Mon 8-9"])
def test_working_hours_written_otherwise_stop_the_start(text: str) -> None:
    with pytest.raises(MustStop, match="KVITTERA_CASE_WORKING_HOURS"):
        WorkingHours.parse(text)


def test_working_days_may_run_over_the_end_of_the_week() -> None:
    assert WorkingHours.parse("Sat-Mon 10-14").days == {5, 6, 0}
    assert WorkingHours.parse("Sun 10-24") == WorkingHours(frozenset({6}), 10, 24)
