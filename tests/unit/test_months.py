"""Which months a table must have, and which it may lose."""

from datetime import UTC, date, datetime, timedelta

import pytest

from services.chassis.month_bounds import OF_IDS
from services.chassis.months import Part, ahead, later, missing, month_of, past

NOVEMBER = datetime(2026, 11, 22, 12, tzinfo=UTC)
KEEP = timedelta(days=30)


def part(starts: str, ends: str) -> Part:
    return Part(starts, date.fromisoformat(starts), date.fromisoformat(ends))


def monthly(first: str, months: int) -> list[Part]:
    start = date.fromisoformat(first)
    return [part(str(later(start, n)), str(later(start, n + 1))) for n in range(months)]


@pytest.mark.parametrize(
    ("moment", "month"),
    [
        ("2026-10-31T23:59:59.999999+00:00", date(2026, 10, 1)),
        ("2026-11-01T00:00:00+00:00", date(2026, 11, 1)),
        ("2026-11-01T00:30:00+01:00", date(2026, 10, 1)),
        ("2026-10-31T23:30:00-02:00", date(2026, 11, 1)),
    ],
)
def test_a_moment_belongs_to_its_month_in_utc_whatever_the_zone_it_is_told_in(moment: str, month: date) -> None:
    assert month_of(datetime.fromisoformat(moment)) == month


def test_months_are_counted_across_the_year() -> None:
    assert [later(date(2026, 11, 1), n) for n in (0, 1, 2, -11)] == [
        date(2026, 11, 1),
        date(2026, 12, 1),
        date(2027, 1, 1),
        date(2025, 12, 1),
    ]


def test_this_month_and_two_more_are_wanted_and_one_in_the_middle_is_filled() -> None:
    assert missing([], NOVEMBER) == [date(2026, 11, 1), date(2026, 12, 1), date(2027, 1, 1)]
    assert missing([part("2026-11-01", "2026-12-01"), part("2027-01-01", "2027-02-01")], NOVEMBER) == [
        date(2026, 12, 1)
    ]
    assert missing([Part("before", None, date(2026, 12, 1)), *monthly("2026-12-01", 2)], NOVEMBER) == []


def test_room_is_counted_up_to_the_first_month_that_is_missing() -> None:
    assert ahead([], NOVEMBER) == -1
    assert ahead(monthly("2026-11-01", 1), NOVEMBER) == 0
    assert ahead(monthly("2026-10-01", 4), NOVEMBER) == 2
    assert ahead([*monthly("2026-11-01", 2), *monthly("2027-02-01", 1)], NOVEMBER) == 1


def test_a_month_goes_when_its_last_moment_is_older_than_is_kept_and_not_a_moment_before() -> None:
    september, october = monthly("2026-09-01", 2)
    last_kept = datetime(2026, 10, 30, 23, 59, 59, 999999, tzinfo=UTC)  # 30 days after the last moment of September
    assert past([october, september], KEEP, last_kept) == []
    assert past([october, september], KEEP, datetime(2026, 10, 31, tzinfo=UTC)) == [september]
    assert past([october, september], KEEP, NOVEMBER + timedelta(days=30)) == [september, october]


@pytest.mark.parametrize(
    "bounds",
    [
        "DEFAULT",
        "FOR VALUES FROM ('2020-01-01 00:00:00+00') TO (MAXVALUE)",
        "FOR VALUES FROM (MINVALUE) TO ('01.01.2020')",
        "FOR VALUES WITH (modulus 4, remainder 0)",
    ],
)
def test_a_partition_whose_end_is_not_clear_is_never_past_its_time(bounds: str) -> None:
    unclear = Part.of({"name": "p", "bounds": bounds, "pending": False})
    assert past([unclear], timedelta(0), datetime(2100, 1, 1, tzinfo=UTC)) == []


@pytest.mark.parametrize(
    ("bounds", "starts"),
    [
        ("FOR VALUES FROM ('2026-11-01 00:00:00+00') TO ('2026-12-01 00:00:00+00')", date(2026, 11, 1)),
        ("FOR VALUES FROM ('2026-11-01 01:00:00+01') TO ('2026-12-01 01:00:00+01')", date(2026, 11, 1)),
        ("FOR VALUES FROM (MINVALUE) TO ('2026-12-01 00:00:00+00')", None),
    ],
)
def test_bounds_are_read_as_postgresql_writes_them_in_any_zone(bounds: str, starts: date | None) -> None:
    assert Part.of({"name": "p", "bounds": bounds, "pending": True}) == Part(
        "p", starts, date(2026, 12, 1), pending=True
    )


@pytest.mark.parametrize(
    ("bounds", "starts"),
    [
        (
            "FOR VALUES FROM ('01a19467-e800-0000-0000-000000000000') TO ('01a22ee6-b000-0000-0000-000000000000')",
            date(2026, 11, 1),
        ),
        ("FOR VALUES FROM (MINVALUE) TO ('01a22ee6-b000-0000-0000-000000000000')", None),
    ],
)
def test_bounds_of_ids_are_read_as_the_days_that_they_begin_with(bounds: str, starts: date | None) -> None:
    told = {"name": "p", "bounds": bounds, "pending": False}
    assert Part.of(told, OF_IDS) == Part("p", starts, date(2026, 12, 1))
    assert starts is None or OF_IDS.write(starts) in bounds
    assert OF_IDS.write(date(2026, 12, 1)) in bounds


def test_a_bound_that_is_no_id_of_ours_ends_nothing() -> None:
    unclear = [f"FOR VALUES FROM (MINVALUE) TO ('{text}')" for text in ("x", "ffffffff-ffff-ffff-ffff-ffffffffffff")]
    assert [Part.of({"name": "p", "bounds": b, "pending": False}, OF_IDS).ends for b in unclear] == [None, None]
