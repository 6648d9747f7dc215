"""Ids that begin with their moment."""

from datetime import UTC, datetime, timedelta
from uuid import RFC_4122, UUID

from services.chassis.ids import time_ordered

NOON = datetime(2026, 11, 22, 12, 0, 0, 123_000, tzinfo=UTC)


def test_an_id_is_a_uuid_of_version_7_that_begins_with_its_millisecond() -> None:
    found = time_ordered(NOON)
    assert (found.version, found.variant) == (7, RFC_4122)
    assert str(found).startswith("01a20320-a27b-7")


def test_ids_of_one_moment_differ_and_later_ones_are_greater_than_all_of_them() -> None:
    together = {time_ordered(NOON) for _ in range(1000)}
    assert len(together) == 1000
    assert {(i.version, i.variant) for i in together} == {(7, RFC_4122)}
    assert max(together) < time_ordered(NOON + timedelta(milliseconds=1))


def test_the_ids_of_a_month_are_a_range() -> None:
    first, after = (UUID(int=int(datetime(2026, m, 1, tzinfo=UTC).timestamp() * 1000) << 80) for m in (11, 12))
    last_moment = datetime(2026, 11, 30, 23, 59, 59, 999_999, tzinfo=UTC)
    assert all(first < time_ordered(at) < after for at in (datetime(2026, 11, 1, tzinfo=UTC), NOON, last_moment))
    assert time_ordered(last_moment + timedelta(microseconds=1)) > after
