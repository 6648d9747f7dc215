"""Which person a tap at a kiosk belongs to."""

import uuid
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


def test_without_a_pause_every_tap_is_a_person() -> None:
    assert after_tap(LATEST, 2, NOON, timedelta(0)).response_id != LATEST.response_id
