"""Which person a tap at a kiosk belongs to."""

import uuid
from dataclasses import replace
from datetime import timedelta

import pytest

from services.survey.api.kiosk import Visit, after_tap
from tests.builders import NOON

THREE = timedelta(seconds=3)
LATEST = Visit(uuid.UUID(int=7), 1, 2, NOON, NOON)


def test_the_first_tap_is_a_person() -> None:
    visit = after_tap(None, 4, NOON, THREE)
    assert (visit.revision, visit.score, visit.answered_at, visit.changed_at) == (1, 4, NOON, NOON)


@pytest.mark.parametrize("seconds", [0, 2.9, -2.9])
def test_another_face_soon_after_corrects_and_the_same_face_adds_nothing(seconds: float) -> None:
    now = NOON + timedelta(seconds=seconds)
    assert after_tap(LATEST, 5, now, THREE) == Visit(LATEST.response_id, 2, 5, NOON, now)
    assert after_tap(LATEST, 2, now, THREE) == Visit(LATEST.response_id, 1, 2, NOON, now)


@pytest.mark.parametrize("seconds", [3, 60, -3])
def test_a_later_tap_is_another_person(seconds: float) -> None:
    now = NOON + timedelta(seconds=seconds)
    visit = after_tap(LATEST, 2, now, THREE)
    assert visit.response_id != LATEST.response_id
    assert (visit.revision, visit.answered_at) == (1, now)


def test_the_id_of_a_visit_begins_with_its_moment() -> None:
    visit = after_tap(None, 4, NOON, THREE)
    assert (visit.response_id.version, visit.response_id.int >> 80) == (7, NOON.timestamp() * 1000)


def test_drumming_on_the_glass_is_one_person() -> None:
    visit = after_tap(None, 1, NOON, THREE)
    first = visit.response_id
    for n in range(1, 60):
        visit = after_tap(visit, n % 5 + 1, NOON + timedelta(seconds=n), THREE)
    assert visit.response_id == first


@pytest.mark.parametrize(
    ("tapped_at", "score", "expected"),
    [
        (12_999, 5, (2, 5, 12_999)),  # soon after, though it came an hour later
        (12_999, 2, (1, 2, 12_999)),
        (10_000, 5, (2, 5, 10_000)),
        (9_999, 5, (1, 2, 10_000)),  # the later face came first, and stands
        (7_001, 5, (1, 2, 10_000)),
    ],
)
def test_the_kiosks_own_clock_tells_which_person_tapped_however_late_it_comes(
    tapped_at: int, score: int, expected: tuple[int, int, int]
) -> None:
    visit = after_tap(replace(LATEST, tapped_at=10_000), score, NOON + timedelta(hours=1), THREE, tapped_at)
    assert visit.response_id == LATEST.response_id
    assert (visit.revision, visit.score, visit.tapped_at) == expected


@pytest.mark.parametrize("tapped_at", [7_000, 13_000, 10_000_000])
def test_taps_apart_by_the_kiosks_own_clock_are_two_people_though_they_come_together(tapped_at: int) -> None:
    visit = after_tap(replace(LATEST, tapped_at=10_000), 5, NOON, THREE, tapped_at)
    assert visit.response_id != LATEST.response_id
    assert (visit.revision, visit.score, visit.answered_at, visit.tapped_at) == (1, 5, NOON, tapped_at)


def test_without_a_pause_every_tap_is_a_person() -> None:
    assert after_tap(LATEST, 2, NOON, timedelta(0)).response_id != LATEST.response_id
