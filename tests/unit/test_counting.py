"""From changed answers and decisions to deltas of cells."""

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.satisfaction import Window
from services.aggregator.counting.deltas import (
    COLUMNS,
    Change,
    Counting,
    answer_changes,
    answer_deltas,
    decision_deltas,
    fold,
)
from services.aggregator.counting.local_clock import LocalClock
from services.aggregator.counting.windows import (
    WINDOWS,
    base_of,
    last_of,
    mask_of,
    unpack,
    window_index,
    window_start,
    windows_in,
)
from services.chassis.failures import Poison

CLOCK = LocalClock()


def windows_of(at: str, zone: str) -> tuple[str | None, str | None, str | None]:
    """The hour, day and month that a moment counts in."""
    change = Change([1], CLOCK.minute(datetime.fromisoformat(at), zone) // 60, [(0, 1)])
    found = {window: window_start(window, index) for _, window, index in map(unpack, fold([change]).cells.tolist())}
    assert found[Window.ALL] is None
    return found[Window.HOUR], found[Window.DAY], found[Window.MONTH]


@pytest.mark.parametrize(
    ("at", "zone", "hour", "day", "month"),
    [
        # The recipient's day, not the server's (hazard 81).
        ("2026-09-30T21:59:59Z", "Europe/Stockholm", "2026-09-30T23:00", "2026-09-30", "2026-09"),
        ("2026-09-30T22:00:00Z", "Europe/Stockholm", "2026-10-01T00:00", "2026-10-01", "2026-10"),
        ("2026-09-30T22:30:00Z", "Europe/Stockholm", "2026-10-01T00:00", "2026-10-01", "2026-10"),
        # The night in October when 02:30 comes twice: both count in the same hour of the wall clock.
        ("2026-10-25T00:30:00Z", "Europe/Stockholm", "2026-10-25T02:00", "2026-10-25", "2026-10"),
        ("2026-10-25T01:30:00Z", "Europe/Stockholm", "2026-10-25T02:00", "2026-10-25", "2026-10"),
        ("2026-10-25T02:00:00Z", "Europe/Stockholm", "2026-10-25T03:00", "2026-10-25", "2026-10"),
        # The night in March when 02:30 does not come.
        ("2026-03-29T00:59:59Z", "Europe/Stockholm", "2026-03-29T01:00", "2026-03-29", "2026-03"),
        ("2026-03-29T01:00:00Z", "Europe/Stockholm", "2026-03-29T03:00", "2026-03-29", "2026-03"),
        # A quarter of an hour off, half an hour of summer time, and the date line.
        ("2026-10-13T18:14:59Z", "Asia/Kathmandu", "2026-10-13T23:00", "2026-10-13", "2026-10"),
        ("2026-10-13T18:15:00Z", "Asia/Kathmandu", "2026-10-14T00:00", "2026-10-14", "2026-10"),
        ("2026-04-04T14:45:00Z", "Australia/Lord_Howe", "2026-04-05T01:00", "2026-04-05", "2026-04"),
        ("2026-04-04T15:15:00Z", "Australia/Lord_Howe", "2026-04-05T01:00", "2026-04-05", "2026-04"),
        ("2026-10-13T10:00:00Z", "Pacific/Apia", "2026-10-13T23:00", "2026-10-13", "2026-10"),
        # Year edges.
        ("2026-12-31T22:59:59Z", "Europe/Stockholm", "2026-12-31T23:00", "2026-12-31", "2026-12"),
        ("2026-12-31T23:00:00Z", "Europe/Stockholm", "2027-01-01T00:00", "2027-01-01", "2027-01"),
        ("2028-02-29T12:00:00+01:00", "Europe/Stockholm", "2028-02-29T12:00", "2028-02-29", "2028-02"),
        ("2261-12-31T23:59:59Z", "UTC", "2261-12-31T23:00", "2261-12-31", "2261-12"),
        ("1970-01-01T00:00:00Z", "UTC", "1970-01-01T00:00", "1970-01-01", "1970-01"),
        # Before the counters begin: in the first hour there is, not in somebody else's cell.
        ("1970-01-01T00:30:00Z", "America/New_York", "1970-01-01T00:00", "1970-01-01", "1970-01"),
    ],
)
def test_windows_are_those_of_the_recipients_wall_clock(at: str, zone: str, hour: str, day: str, month: str) -> None:
    assert windows_of(at, zone) == (hour, day, month)


@given(
    st.datetimes(datetime(1971, 1, 1), datetime(2260, 1, 1)),  # noqa: DTZ001
    st.sampled_from(
        ["Europe/Stockholm", "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns", "Africa/Casablanca"]
    ),
)
def test_the_hour_is_what_a_clock_on_the_wall_says(moment: datetime, zone: str) -> None:
    at = moment.replace(tzinfo=UTC)
    minute = CLOCK.minute(at, zone)
    on_the_wall = at.astimezone(ZoneInfo(zone))
    assert window_start(Window.MINUTE, minute) == on_the_wall.strftime("%Y-%m-%dT%H:%M")
    assert window_start(Window.HOUR, minute // 60) == on_the_wall.strftime("%Y-%m-%dT%H:00")


@pytest.mark.parametrize("times", [1, 10])
def test_many_moments_have_the_minutes_that_each_has(times: int) -> None:
    zones = ["America/New_York", "Europe/Stockholm", "Asia/Kathmandu", "Australia/Lord_Howe"] * times
    start = datetime(2026, 10, 24, 22, 7, tzinfo=UTC)
    moments = [
        datetime(1970, 1, 1, 0, 30, tzinfo=UTC),
        *[start + timedelta(minutes=47 * n) for n in range(1, len(zones))],
    ]
    each = [CLOCK.minute(at, zone) for at, zone in zip(moments, zones, strict=True)]
    assert LocalClock().minutes(moments, zones).tolist() == each


def test_a_zone_that_does_not_exist_is_told() -> None:
    with pytest.raises(Poison, match="the zone is not known"):
        LocalClock().minute(datetime(2026, 1, 1, tzinfo=UTC), "Europe/Stokholm")


@pytest.mark.parametrize(
    ("old", "new", "moved"),
    [
        (None, (5, False, False, None), {"s5": 1, "opened": 1}),
        (None, (None, False, False, None), {"opened": 1}),
        (None, (None, True, False, None), {"commented": 1, "opened": 1}),
        ((4, False, False, None), (5, False, False, None), {"s4": -1, "s5": 1}),
        ((4, False, False, None), (4, True, False, None), {"commented": 1}),
        ((4, True, False, None), (2, True, False, None), {"s4": -1, "s2": 1}),
        # A contested answer never counts as satisfaction, whatever its score (E3).
        (None, (5, True, True, None), {"commented": 1, "contested": 1, "opened": 1}),
        ((5, False, False, None), (5, False, True, None), {"s5": -1, "contested": 1}),
        ((5, False, True, None), (1, False, True, None), {}),
        ((None, False, False, None), (None, False, True, None), {"contested": 1}),
        # About another party, uninvited or by a machine: it leaves the carrier's counters.
        (None, (5, True, True, "machine"), {}),
        ((5, True, False, None), (5, True, False, "machine"), {"s5": -1, "commented": -1, "opened": -1}),
        ((5, False, False, "machine"), (4, False, False, None), {"s4": 1, "opened": 1}),
    ],
)
def test_an_answer_moves_from_one_counter_to_another(
    old: Counting | None, new: Counting, moved: dict[str, int]
) -> None:
    sums: defaultdict[str, int] = defaultdict(int)
    for column, amount in answer_deltas(old, new):
        sums[COLUMNS[column]] += amount
    assert {name: n for name, n in sums.items() if n} == moved


def test_an_answer_that_is_kept_apart_counts_in_the_units_of_its_series_only() -> None:
    twins = {(1, "machine"): 11, (2, "machine"): 0, (1, "other_party"): 21}
    moved = answer_changes([1, 2], 7, 5, (5, False, False, "machine"), (5, True, False, "other_party"), twins)
    assert [(c.units, [(COLUMNS[i], n) for i, n in c.deltas]) for c in moved] == [
        ([11], [("s5", -1)]),
        ([21], [("s5", 1), ("commented", 1)]),
    ]
    assert {(c.local_hour, c.minute) for c in moved} == {(7, 5)}


@pytest.mark.parametrize(
    ("old", "new", "moved"),
    [
        (None, "pending", [("delivered", 1), ("pending", 1)]),
        ("pending", "asked", [("pending", -1), ("asked", 1)]),
        ("pending", "failed", [("pending", -1), ("failed", 1)]),
        (None, "suppressed", [("delivered", 1), ("suppressed", 1)]),
        # That a message arrived is no delivery more, and counts once.
        (None, "reached", [("reached", 1)]),
        ("reached", "reached", []),
    ],
)
def test_a_delivery_is_counted_once_and_then_moves(old: str | None, new: str, moved: list[tuple[str, int]]) -> None:
    assert [(COLUMNS[column], amount) for column, amount in decision_deltas(old, new)] == moved


MASKS = np.array([0, 31, 63, 32, 1, 24])
"""The windows of the units 0 to 5; bits are hour, day, month, all, week, minute."""
ORDER = (Window.HOUR, Window.DAY, Window.MONTH, Window.ALL, Window.WEEK, Window.MINUTE)


def reference(
    changes: list[Change], masks: list[int] | None = None, minutes_from: int = 0
) -> dict[tuple[int, Window, int], list[int]]:
    """The same sum, written with a dictionary and a calendar."""
    cells: defaultdict[tuple[int, Window, int], list[int]] = defaultdict(lambda: [0] * 14)
    for change in changes:
        at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(hours=change.local_hour)
        month = (at.year - 1970) * 12 + at.month - 1
        monday = (at - timedelta(days=at.weekday())).date() - date(1969, 12, 29)
        indexes = [change.local_hour, change.local_hour // 24, month, 0, monday.days // 7]
        if change.minute is not None and change.local_hour * 60 + change.minute >= minutes_from:
            indexes.append(change.local_hour * 60 + change.minute)
        for unit in change.units:
            has = [w for bit, w in enumerate(ORDER) if (masks[unit] if masks else 31) & 1 << bit]
            for window, index in zip(ORDER, indexes, strict=False):
                for column, amount in change.deltas if window in has else []:
                    cells[unit, window, index][column] += amount
    return {cell: amounts for cell, amounts in cells.items() if any(amounts)}


changes = st.builds(
    Change,
    st.lists(st.integers(1, 5) | st.integers(1, 2**31 - 1), max_size=4, unique=True),
    st.integers(0, 50) | st.integers(0, 2_559_000),
    st.lists(st.tuples(st.integers(0, 13), st.sampled_from([-1, 1])), max_size=4),
    st.none() | st.integers(0, 59),
)


@given(st.lists(changes, max_size=30))
@example([])
@example([Change([], 5, [(0, 1)])])
@example([Change([1], 5, [])])
@example([Change([1], 5, [(0, 1)]), Change([1], 5, [(0, -1)])])
@example([Change([2**31 - 1], 2_559_000, [(11, 1)])])
@example([Change([2**25 - 1, 2**25], 2_559_000, [(11, 1)])])
@example([Change([1], kind % 3, [(kind % 14, 1)]) for kind in range(70)])
def test_folding_is_the_plain_sum_per_cell(changed: list[Change]) -> None:
    deltas = fold(changed)
    folded = {
        unpack(cell): amounts for cell, amounts in zip(deltas.cells.tolist(), deltas.amounts.tolist(), strict=True)
    }
    assert folded == reference(changed)
    assert deltas.cells.tolist() == sorted(set(deltas.cells.tolist()))


@given(
    st.lists(
        st.builds(
            Change,
            st.lists(st.integers(0, 5), max_size=4, unique=True),
            st.integers(0, 3),
            st.lists(st.tuples(st.integers(0, 13), st.sampled_from([-1, 1])), max_size=4),
            st.none() | st.integers(0, 59),
        ),
        max_size=30,
    )
)
def test_each_unit_is_counted_in_its_own_windows_and_minutes_only_from_where_they_are_kept(
    changed: list[Change],
) -> None:
    deltas = fold(changed, MASKS, 90)
    folded = {
        unpack(cell): amounts for cell, amounts in zip(deltas.cells.tolist(), deltas.amounts.tolist(), strict=True)
    }
    assert folded == reference(changed, MASKS.tolist(), 90)


def test_cells_are_packed_as_the_tables_have_them() -> None:
    assert WINDOWS == ORDER
    assert [base_of(w) for w in ORDER] == [0, 1073741824, 2147483648, 3221225472, 3489660928, 3758096384]
    assert unpack((7 << 32) | (2 << 30) | 682) == (7, Window.MONTH, 682)
    assert window_start(Window.MONTH, 682) == "2026-11"
    for window in ORDER:
        assert unpack((7 << 32) + base_of(window)) == (7, window, 0)
        assert unpack((7 << 32) + base_of(window) + last_of(window)) == (7, window, last_of(window))
    assert last_of(Window.MINUTE) > 292 * 366 * 1440


@pytest.mark.parametrize(
    ("day", "monday"),
    [
        ("2026-11-16", "2026-11-16"),
        ("2026-11-22", "2026-11-16"),
        ("2026-01-01", "2025-12-29"),
        ("1970-01-05", "1970-01-05"),
    ],
)
def test_a_week_begins_on_its_monday(day: str, monday: str) -> None:
    assert window_start(Window.WEEK, window_index(Window.WEEK, day)) == monday
    assert window_index(Window.WEEK, "1970-01-01") == 0


@pytest.mark.parametrize(
    ("window", "start"),
    [
        (Window.MINUTE, "2026-10-13T14:05"),
        (Window.HOUR, "2026-10-13T14:00"),
        (Window.DAY, "2026-10-13"),
        (Window.WEEK, "2026-10-12"),
        (Window.MONTH, "2026-10"),
    ],
)
def test_the_start_of_a_window_names_it(window: Window, start: str) -> None:
    assert window_start(window, window_index(window, start)) == start


@pytest.mark.parametrize(
    "start", ["", "2026", "yesterday", "2026-13", "2026-10-13T14:05Z", "1969-12-31", "2026-10-13 14:05:00+01:00"]
)
def test_what_is_no_local_time_names_no_window(start: str) -> None:
    with pytest.raises(ValueError, match=r"local time|isoformat|month"):
        window_index(Window.DAY, start)


def test_a_set_of_windows_is_a_mask_and_back() -> None:
    assert mask_of((Window.HOUR, Window.MINUTE)) == 33
    assert windows_in(33) == (Window.MINUTE, Window.HOUR)
    assert windows_in(63) == tuple(Window)
