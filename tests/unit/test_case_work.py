"""What staff may do with a case in each state, and what each step needs."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from schemas.feedback import Attribution, CaseState, CaseTrigger, Cause
from schemas.response import ResponseRecorded
from services.chassis.staff import Member, Role
from services.survey.cases.case import Case, event_of, opened
from services.survey.cases.work import Action, Place, Step, check_allowed, perform
from services.survey.staff.refusals import Impossible, NotAllowed
from tests.builders import NOON, facts

ANNA = Member("s-anna", "Anna L.", {"Årsta": Role.AGENT})
LATER = NOON + timedelta(hours=2)
JUDGED: dict[str, Any] = {"cause": Cause.LATE, "attribution": Attribution.OWN, "place": Place.TERMINAL}


def case(**changed: Any) -> Case:
    answer = ResponseRecorded(
        response_id="r", revision=1, score=2, answered_at=NOON, recorded_at=NOON, delivery=facts(), reasons=("on_time",)
    )
    new = opened(
        answer, (CaseTrigger.LOW_SCORE,), desk="Årsta", due_at=NOON + timedelta(hours=4), now=NOON, traceparent=None
    )
    return replace(new, **changed)


def after(given: Case, action: Action, **step: Any) -> Case:
    return perform(given, Step(action=action, **step), ANNA, LATER, LATER + timedelta(hours=4))[0]


MOVES = """
             contact    wait     resolve   reopen
open         contacted  -        resolved  -
contacted    -          waiting  resolved  -
waiting      contacted  -        resolved  -
resolved     -          -        -         reopened
reopened     contacted  -        resolved  -
"""


@pytest.mark.parametrize("line", MOVES.strip().splitlines()[1:])
def test_a_case_moves_between_its_states_as_the_table_says_and_no_other_way(line: str) -> None:
    state, *outcomes = line.split()
    for action, outcome in zip((Action.CONTACT, Action.WAIT, Action.RESOLVE, Action.REOPEN), outcomes, strict=True):
        given = case(state=CaseState(state), due_at=None)
        if outcome == "-":
            with pytest.raises(Impossible, match=state):
                after(given, action, **JUDGED)
        else:
            moved = after(given, action, **JUDGED)
            assert (moved.state, moved.revision, moved.changed_at) == (outcome, 2, LATER)


@pytest.mark.parametrize("state", CaseState)
def test_a_case_can_be_taken_given_away_and_noted_upon_in_every_state(state: CaseState) -> None:
    given = case(state=state)
    for step in (
        {"action": Action.TAKE},
        {"action": Action.ASSIGN, "owner": ("s-bo", "Bo")},
        {"action": Action.NOTE, "note": "x"},
    ):
        assert after(given, **step).state == state


def test_first_contact_stops_the_clock_and_is_never_forgotten() -> None:
    contacted = after(case(), Action.CONTACT)
    assert (contacted.contacted_at, contacted.due_at, contacted.owner) == (LATER, None, "s-anna")
    reopened = after(after(contacted, Action.RESOLVE, **JUDGED), Action.REOPEN)
    assert (reopened.contacted_at, reopened.due_at, reopened.resolved_at) == (LATER, LATER + timedelta(hours=4), None)
    again = perform(reopened, Step(action=Action.CONTACT), ANNA, LATER + timedelta(days=1), LATER)[0]
    assert (again.contacted_at, again.due_at) == (LATER, None)
    event = event_of(reopened)
    assert (event.sla_due_at, event.contacted_at, event.state) == (NOON + timedelta(hours=4), LATER, "reopened")


@pytest.mark.parametrize("missing", ["cause", "attribution", "place"])
def test_resolving_needs_cause_responsibility_and_where_it_arose(missing: str) -> None:
    with pytest.raises(Impossible, match="Choose cause"):
        after(case(), Action.RESOLVE, **{k: v for k, v in JUDGED.items() if k != missing})


def test_a_person_who_wants_contact_is_contacted_before_the_case_is_resolved() -> None:
    wanting = case(wants_contact=True)
    with pytest.raises(Impossible, match="wants to be contacted"):
        after(wanting, Action.RESOLVE, **JUDGED)
    assert after(after(wanting, Action.CONTACT), Action.RESOLVE, **JUDGED).state == "resolved"


@pytest.mark.parametrize(
    ("place", "controllable"),
    [
        ("driver", True),
        ("route", True),
        ("terminal", True),
        ("merchant", False),
        ("recipient", False),
        ("outside", False),
    ],
)
def test_where_it_arose_tells_whether_the_carrier_could_have_prevented_it(place: str, controllable: bool) -> None:
    resolved = after(case(), Action.RESOLVE, **{**JUDGED, "place": Place(place)})
    event = event_of(resolved)
    assert (event.controllable, event.cause, event.attribution) == (controllable, "late", "own")
    assert event.resolved_at == LATER


def test_the_outcome_counts_as_told_once_somebody_said_so() -> None:
    assert not event_of(after(case(), Action.RESOLVE, outcome_sealed=b"x", **JUDGED)).outcome_told
    told = after(case(), Action.CONTACT, told=True)
    assert event_of(after(told, Action.RESOLVE, **JUDGED)).outcome_told


def test_a_note_without_words_and_a_case_for_nobody_are_refused() -> None:
    with pytest.raises(Impossible, match="words"):
        after(case(), Action.NOTE)
    with pytest.raises(Impossible, match="who"):
        after(case(), Action.ASSIGN)


def member(role: Role, terminal: str = "Årsta") -> Member:
    return Member("s-anna", "Anna L.", {terminal: role})


@pytest.mark.parametrize(
    ("who", "action", "owner", "allowed"),
    [
        (member(Role.READER), Action.NOTE, None, False),
        (member(Role.READER), Action.TAKE, None, False),
        (member(Role.AGENT), Action.TAKE, None, True),
        (member(Role.AGENT), Action.RESOLVE, None, True),
        (member(Role.AGENT), Action.TAKE, "s-bo", False),
        (member(Role.AGENT), Action.ASSIGN, None, False),
        (member(Role.LEAD), Action.ASSIGN, None, True),
        (member(Role.LEAD), Action.TAKE, "s-bo", True),
        (member(Role.ADMIN), Action.ASSIGN, "s-bo", True),
        (member(Role.ADMIN, "Malmö"), Action.NOTE, None, False),
        (member(Role.AGENT, "*"), Action.CONTACT, None, True),
    ],
)
def test_the_role_at_the_desk_decides_what_a_member_may_do(
    who: Member, action: Action, owner: str | None, allowed: bool
) -> None:
    step = Step(action=action)
    if allowed:
        check_allowed(case(owner=owner), step, who)
    else:
        with pytest.raises(NotAllowed, match="this terminal"):
            check_allowed(case(owner=owner), step, who)
