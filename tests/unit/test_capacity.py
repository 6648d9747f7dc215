"""What a year of deliveries takes: the arithmetic, and that docs/scale.md says what it gives."""

from pathlib import Path

import pytest

from services.capacity import Capacity, Demand, Measured, rows

PLAIN = Measured(
    counted_a_second=1_000,
    answers_a_second=100,
    deliveries_a_second=50,
    decision_bytes=500,
    request_bytes=4_000,
    answer_bytes=800,
    outbox_bytes=1_000,
    delivery_record=900,
    decision_record=1_000,
    answer_record=800,
    wal_bytes=1_000,
    used=0.5,
)
YEAR = Demand(365 * 36_000, peak_day=2, peak_hour=0.1, asked=0.5, answered=0.2, revisions=2)
"""36,000 deliveries on a mean day, 7,200 in the busiest hour."""


def test_the_busiest_hour_follows_from_the_year() -> None:
    found = Capacity(YEAR, PLAIN)
    assert found.deliveries_a_second == pytest.approx(2)
    assert found.decisions_a_second == pytest.approx(3)  # each decided, every second one asked
    assert found.answers_a_second == pytest.approx(0.4)
    assert found.events_a_second == pytest.approx(3.4)


def test_there_are_never_fewer_than_two_processes_and_room_for_twice_the_readers() -> None:
    small = Capacity(YEAR, PLAIN)
    assert (small.notifiers, small.surveys, small.aggregators, small.partitions) == (2, 2, 2, 6)
    large = Capacity(Demand(365 * 36_000 * 1_000, 2, 0.1, 0.5, 0.2, 2), PLAIN)
    assert large.notifiers == 80  # 2,000 a second, 25 planned for each
    assert large.surveys == 4  # 400 a second, 100 planned for each
    assert large.aggregators == 7  # 3,400 a second, 500 planned for each
    assert large.partitions == 162  # twice 80, in steps of six


def test_disk_and_network_follow_from_bytes() -> None:
    found = Capacity(YEAR, PLAIN)
    assert found.database_bytes_a_year == pytest.approx(365 * 36_000 * (500 + 2_000 + 80))
    assert found.log_bytes_a_second == pytest.approx(3_400)
    assert found.kafka_bytes_a_second == pytest.approx(2 * 900 + 3 * 1_000 + 0.4 * 800)
    assert found.kafka_bytes_kept == pytest.approx(36_000 * (7 * 900 + 400 * (1_500 + 160)))
    assert found.outbox_bytes == pytest.approx(3 * 72_000 * 1.7 * 1_000)
    assert found.outbox_rows == pytest.approx(3 * 72_000 * (1.5 + 0.2))


def test_cells_grow_with_units_and_hours_and_not_with_deliveries() -> None:
    demand = Demand(1e9, units=10, hours_a_day=2)
    assert Capacity(demand, PLAIN).cells_a_year == 10 * (730 + 365 + 53 + 12 + 1)


def test_the_page_about_scale_says_what_the_arithmetic_gives(repository: Path) -> None:
    text = (repository / "docs/scale.md").read_text(encoding="utf-8")
    year, ten = (Capacity(Demand(n), Measured()) for n in (1e9, 1e10))
    wanted = [f"| {what} | {a} | {b} |" for (what, a), (_, b) in zip(rows(year), rows(ten), strict=True)]
    assert [line for line in wanted if line not in text] == []
