"""Which answers are praise, and how praise moves: decisions typed by hand."""

from datetime import timedelta
from typing import Any

import pytest

from schemas.response import ResponseRecorded
from services.chassis.staff import Role
from services.survey.praise.rules import (
    Act,
    Praise,
    Rules,
    State,
    act,
    after_answer,
    possible_acts,
    role_for,
)
from services.survey.praise.signs import sign_of
from services.survey.praise.store import published
from services.survey.staff.refusals import Impossible
from tests.builders import NOON, facts

RULES = Rules()
LATER = NOON + timedelta(hours=1)


def answer(**changed: Any) -> ResponseRecorded:
    plain: dict[str, Any] = {
        "response_id": "5f0c1c9e-0000-4000-8000-000000000001",
        "revision": 1,
        "score": 5,
        "commented": True,
        "answered_at": NOON,
        "recorded_at": NOON,
        "delivery": facts(route="14", driver="DRV-1"),
    }
    return ResponseRecorded.model_validate(plain | changed)


def praise(state: State = State.WAITING, **changed: Any) -> Praise:
    opened = after(None, answer())
    assert opened is not None
    return Praise(**{**{f: getattr(opened, f) for f in Praise.__slots__}, "state": state, **changed})


def after(stored: Praise | None, given: ResponseRecorded, digest: bytes | None = b"first") -> Praise | None:
    change = after_answer(stored, given, digest, RULES, lambda at, _zone, _country: at + timedelta(hours=16))
    return None if change is None else change.praise


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, True),
        ({"score": 4}, True),
        ({"score": 3}, False),
        ({"score": None}, False),
        ({"commented": False}, False),
        ({"commented": False, "reasons": ("courtesy",)}, True),
        ({"commented": False, "reasons": ("on_time",)}, False),
        ({"score": 2, "reasons": ("courtesy",)}, False),  # at low scores the chip says what went wrong
        ({"contested": True}, False),
        ({"suspected_machine": True}, False),
        ({"rated": "shop"}, False),
        ({"rated": "service_point"}, True),
    ],
)
def test_praise_is_a_good_score_with_a_comment_or_courtesy(changed: dict[str, Any], expected: bool) -> None:
    assert RULES.is_praise(answer(**changed)) is expected


def test_the_score_that_makes_a_comment_praise_can_be_raised_to_5() -> None:
    assert not Rules(from_score=5).is_praise(answer(score=4))


def test_an_answer_opens_praise_once_with_its_own_deadline() -> None:
    opened = after(None, answer())
    assert opened is not None
    assert (opened.state, opened.revision, opened.pass_on_by) == (State.WAITING, 1, NOON + timedelta(hours=16))
    assert after(opened, answer()) is None


def test_an_answer_that_is_no_praise_opens_nothing() -> None:
    assert after(None, answer(score=2)) is None


@pytest.mark.parametrize("state", [State.WAITING, State.PASSED_ON, State.ON_BOARD, State.DISPUTED, State.DECLINED])
def test_praise_is_withdrawn_when_the_answer_is_no_praise_any_more(state: State) -> None:
    gone = after(praise(state), answer(revision=2, score=2))
    assert gone is not None
    assert (gone.state, gone.revision, gone.response_revision) == (State.WITHDRAWN, 2, 2)


def test_withdrawn_praise_comes_back_when_the_answer_praises_again() -> None:
    back = after(praise(State.WITHDRAWN, response_revision=2, revision=2), answer(revision=3))
    assert back is not None
    assert (back.state, back.revision) == (State.WAITING, 3)


@pytest.mark.parametrize(
    ("state", "back"),
    [
        (State.WAITING, State.WAITING),
        (State.PASSED_ON, State.PASSED_ON),
        (State.ON_BOARD, State.PASSED_ON),
        (State.DISPUTED, State.DISPUTED),
        (State.DECLINED, State.DECLINED),
    ],
)
def test_a_recipient_who_stops_praising_and_praises_again_undoes_nothing_that_staff_decided(
    state: State, back: State
) -> None:
    passed_on_at = None if state is State.WAITING else LATER
    gone = after(praise(state, masks=(2, 4), passed_on_at=passed_on_at), answer(revision=2, score=2))
    still_gone = after(gone, answer(revision=3, score=1))
    again = after(still_gone, answer(revision=4))
    assert again is not None
    assert (again.state, again.masks) == (back, (2, 4))


@pytest.mark.parametrize(("then", "at_last"), [(b"second", b"second"), (b"first", b"second"), (None, b"first")])
def test_withdrawn_praise_comes_back_with_another_comment_without_the_masks(then: bytes | None, at_last: bytes) -> None:
    gone = after(praise(State.DISPUTED, masks=(2,)), answer(revision=2, score=2, commented=then is not None), then)
    again = after(gone, answer(revision=3), at_last)
    assert again is not None
    assert (again.state, again.masks, again.comment_digest) == (State.DISPUTED, (), at_last)


def test_another_comment_takes_the_praise_off_the_board_and_forgets_the_masks() -> None:
    changed = after(praise(State.ON_BOARD, masks=(2,)), answer(revision=2), b"second")
    assert changed is not None
    assert (changed.state, changed.masks, changed.comment_digest) == (State.PASSED_ON, (), b"second")


def test_another_reason_leaves_the_praise_on_the_board() -> None:
    changed = after(praise(State.ON_BOARD, masks=(2,)), answer(revision=2, reasons=("courtesy",)))
    assert changed is not None
    assert (changed.state, changed.masks, changed.reasons) == (State.ON_BOARD, (2,), ("courtesy",))


def test_an_erased_comment_leaves_the_board() -> None:
    changed = after(praise(State.ON_BOARD), answer(revision=2, erased=True), None)
    assert changed is not None
    assert (changed.state, changed.comment_digest) == (State.PASSED_ON, None)


def test_a_late_or_repeated_answer_changes_nothing() -> None:
    assert after(praise(response_revision=3), answer(revision=2, score=1)) is None


@pytest.mark.parametrize(
    ("state", "wanted", "to"),
    [
        (State.WAITING, Act.PASS_ON, State.PASSED_ON),
        (State.PASSED_ON, Act.APPROVE, State.ON_BOARD),
        (State.ON_BOARD, Act.TAKE_DOWN, State.PASSED_ON),
        (State.WAITING, Act.DECLINE, State.DECLINED),
        (State.ON_BOARD, Act.DISPUTE, State.DISPUTED),
        (State.DISPUTED, Act.RESTORE, State.PASSED_ON),
        (State.DISPUTED, Act.UPHOLD, State.DECLINED),
        (State.DECLINED, Act.RECONSIDER, State.WAITING),
    ],
)
def test_each_act_moves_praise_one_step(state: State, wanted: Act, to: State) -> None:
    moved = act(praise(state), wanted, LATER)
    assert (moved.state, moved.revision) == (to, 2)


@pytest.mark.parametrize(
    ("state", "wanted"),
    [
        (State.WAITING, Act.APPROVE),
        (State.WITHDRAWN, Act.PASS_ON),
        (State.WITHDRAWN, Act.RECONSIDER),
        (State.DISPUTED, Act.APPROVE),
        (State.DECLINED, Act.APPROVE),
    ],
)
def test_no_act_skips_a_step(state: State, wanted: Act) -> None:
    with pytest.raises(Impossible):
        act(praise(state), wanted, LATER)


@pytest.mark.parametrize(
    ("state", "offered"),
    [
        (State.WAITING, {Act.PASS_ON, Act.DECLINE}),
        (State.PASSED_ON, {Act.APPROVE, Act.DECLINE, Act.DISPUTE}),
        (State.ON_BOARD, {Act.TAKE_DOWN, Act.DISPUTE}),
        (State.DISPUTED, {Act.RESTORE, Act.UPHOLD}),
        (State.DECLINED, {Act.RECONSIDER}),
        (State.WITHDRAWN, set()),
    ],
)
def test_staff_are_offered_what_the_state_allows(state: State, offered: set[Act]) -> None:
    assert set(possible_acts(praise(state))) == offered
    assert set(possible_acts(praise(state, comment_digest=None))) == offered - {Act.APPROVE}


def test_without_a_comment_there_is_nothing_to_put_on_the_board() -> None:
    with pytest.raises(Impossible):
        act(praise(State.PASSED_ON, comment_digest=None), Act.APPROVE, LATER)


def test_passing_on_is_acknowledged_with_its_moment_and_stays_so() -> None:
    passed = act(praise(), Act.PASS_ON, LATER)
    assert passed.passed_on_at == LATER
    assert act(act(passed, Act.DECLINE, LATER), Act.RECONSIDER, LATER).state is State.PASSED_ON


def test_approving_again_never_takes_a_mask_away() -> None:
    assert act(praise(State.PASSED_ON, masks=(1, 4)), Act.APPROVE, LATER, masks=(2,)).masks == (1, 2, 4)


def test_leads_decide_about_the_board_and_disputes() -> None:
    assert {a for a in Act if role_for(a) is Role.LEAD} == {Act.APPROVE, Act.RESTORE, Act.UPHOLD, Act.RECONSIDER}


def test_the_message_names_no_driver_who_declined() -> None:
    assert published(praise(), driver_declined=False).driver == "DRV-1"
    assert published(praise(), driver_declined=True).driver is None


def test_the_message_tells_where_the_praise_stands() -> None:
    on_board = published(praise(State.ON_BOARD), driver_declined=False)
    gone = published(praise(State.WITHDRAWN), driver_declined=False)
    assert (on_board.on_board, on_board.withdrawn) == (True, False)
    assert (gone.on_board, gone.withdrawn) == (False, True)


def test_sixteen_drivers_have_sixteen_different_signs_and_the_next_has_a_number() -> None:
    signs = [sign_of(n) for n in range(17)]
    assert len(set(signs[:16])) == 16
    assert [(s.shape, s.colour, s.series) for s in signs[:4]] == [
        ("star", "blue", 1),
        ("moon", "ochre", 1),
        ("spruce", "green", 1),
        ("wave", "red", 1),
    ]
    assert (signs[4].shape, signs[4].colour) == ("star", "ochre")
    assert (signs[16].shape, signs[16].colour, signs[16].series) == ("star", "blue", 2)
