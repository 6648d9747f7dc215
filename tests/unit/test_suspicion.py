"""What looks like a machine's answer, and that remembering looks stays small."""

import pytest

from services.survey.recipient.suspicion import Looks, RecentLooks, suspicion


def looked(*faces: tuple[float, int | None]) -> Looks:
    looks = Looks(faces[0][0])
    for at, face in faces:
        looks.note(at, face)
    return looks


FIVE_AT_ONCE = looked(*((float(n), n) for n in range(1, 6)))
FIVE_SLOWLY = looked(*((n * 1.5, n) for n in range(1, 6)))


@pytest.mark.parametrize(
    ("looks", "now", "by_script", "honeypot", "sign"),
    [
        (None, 5.0, False, "", None),
        (None, 5.0, True, "http://x.example", "honeypot"),
        (looked((0.0, None)), 0.9, False, "", "too_fast"),
        (looked((0.0, None)), 1.0, False, "", None),
        (looked((0.0, None)), 0.9, True, "", None),
        (looked((0.0, 4), (9.9, 4)), 10.0, False, "", None),
        (FIVE_AT_ONCE, 6.0, False, "", "all_faces"),
        (FIVE_AT_ONCE, 65.0, False, "", "all_faces"),
        (FIVE_AT_ONCE, 65.1, False, "", None),
        (FIVE_AT_ONCE, 6.0, True, "", None),
        (looked((0.0, None), (0.1, 6)), 60.1, False, "", "hidden_link"),
        (looked((0.0, None), (0.1, 6)), 60.2, False, "", None),
        (looked((0.0, None), (0.1, 6)), 3.0, True, "", None),
        (FIVE_SLOWLY, 8.6, False, "", None),
    ],
)
def test_an_answer_is_suspected_for_what_no_person_does(
    looks: Looks | None, now: float, by_script: bool, honeypot: str, sign: str | None
) -> None:
    assert suspicion(looks, now, by_script=by_script, honeypot=honeypot) == sign


def test_looks_are_forgotten_after_their_time_and_when_there_are_too_many() -> None:
    clock = [0.0]
    recent = RecentLooks(lambda: clock[0], most=3, seconds=10)
    for page in (b"a", b"b", b"c", b"d"):
        recent.note(page, None)
    assert len(recent) == 3
    assert recent.suspicion(b"a", by_script=False, honeypot="") is None
    assert recent.suspicion(b"d", by_script=False, honeypot="") == "too_fast"
    clock[0] = 10.1
    assert recent.suspicion(b"d", by_script=False, honeypot="") is None
    assert len(recent) == 0
