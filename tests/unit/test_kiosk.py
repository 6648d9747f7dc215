"""Which person a tap at a kiosk belongs to."""

import uuid
from dataclasses import replace
from datetime import timedelta

import pytest

from services.survey.api.kiosk import Visit, after_tap
from services.survey.conditions import TapOf
from tests.builders import NOON

THREE = timedelta(seconds=3)
VISIT = "3f2b91c47d0e6a58"
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
    ("tap", "score", "expected"),
    [
        (3, 5, (2, 5, 3)),
        (3, 2, (1, 2, 3)),
        (4, 5, (2, 5, 4)),  # the third was left out, as the fourth corrects it
        (2, 5, (1, 2, 2)),
        (1, 5, (1, 2, 2)),  # the later face came first, and stands
    ],
)
def test_a_tap_of_a_visit_that_the_kiosk_names_is_of_that_person_however_late_it_comes(
    tap: int, score: int, expected: tuple[int, int, int]
) -> None:
    before = replace(LATEST, visit=VISIT, tap=2)
    visit = after_tap(before, score, NOON + timedelta(days=40), THREE, TapOf(VISIT, tap))
    assert (visit.response_id, visit.visit) == (LATEST.response_id, VISIT)
    assert (visit.revision, visit.score, visit.tap) == expected


def test_a_visit_that_is_not_known_is_a_person() -> None:
    visit = after_tap(None, 5, NOON, THREE, TapOf(VISIT, 4))
    assert (visit.revision, visit.score, visit.answered_at, visit.visit, visit.tap) == (1, 5, NOON, VISIT, 4)


def test_a_tap_that_names_no_visit_joins_the_last_one_and_leaves_its_name() -> None:
    visit = after_tap(replace(LATEST, visit=VISIT, tap=2), 5, NOON + timedelta(seconds=1), THREE)
    assert (visit.response_id, visit.revision, visit.visit, visit.tap) == (LATEST.response_id, 2, VISIT, 2)


def test_without_a_pause_every_tap_is_a_person() -> None:
    assert after_tap(LATEST, 2, NOON, timedelta(0)).response_id != LATEST.response_id
