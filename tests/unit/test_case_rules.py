"""Which answers call for a case, and what later revisions do to it."""

from typing import Any

import pytest

from schemas.feedback import CaseState, CaseTrigger
from schemas.response import ResponseRecorded
from services.chassis.environment import load_settings
from services.chassis.failures import MustStop
from services.survey.cases.rules import CENTRAL, CaseRules, Known, on_later_revision
from tests.builders import NOON, facts

RULES = CaseRules()


def answer(delivery: dict[str, Any] | None = None, **changed: Any) -> ResponseRecorded:
    plain: dict[str, Any] = {"response_id": "r", "revision": 1, "answered_at": NOON, "recorded_at": NOON}
    return ResponseRecorded.model_validate({**plain, "delivery": facts(**(delivery or {})), **changed})


@pytest.mark.parametrize(
    ("given", "because"),
    [
        (answer(score=1), ["low_score"]),
        (answer(score=2), ["low_score"]),
        (answer(score=3), []),
        (answer(score=5), []),
        (answer(commented=True), []),
        (answer(score=5, wants_contact=True), ["wants_contact"]),
        (answer(contested=True), ["contested"]),
        (answer({"exceptions": ["damaged"]}, score=5), ["damaged"]),
        (answer({"exceptions": ["opened", "partial"]}, score=4), []),
        (
            answer({"exceptions": ["damaged"]}, score=1, wants_contact=True, contested=True),
            ["low_score", "wants_contact", "contested", "damaged"],
        ),
        (answer({"exceptions": ["damaged"]}, score=1, wants_contact=True, erased=True), []),
    ],
)
def test_an_answer_calls_for_a_case_by_rule(given: ResponseRecorded, because: list[str]) -> None:
    assert list(RULES.triggers_of(given)) == because


def test_the_settings_choose_the_rules() -> None:
    rules = CaseRules.from_settings(3, "low_score,contested", "Segeltorp=Årsta, Kiruna = Luleå")
    assert rules.triggers_of(answer(score=3, wants_contact=True)) == (CaseTrigger.LOW_SCORE,)
    assert rules.desk_of(facts(terminal="Segeltorp")) == "Årsta"
    assert [rules.desk_of(facts(terminal=t)) for t in ("Luleå", "Kiruna")] == ["Luleå", "Luleå"]
    assert rules.desk_of(facts(terminal=None)) == CENTRAL
    assert CaseRules.from_settings(2, "", "").triggers_of(answer(score=1)) == ()


@pytest.mark.parametrize(
    "wrong",
    [
        {"case_triggers": "bad_mood"},
        {"case_triggers": "staff"},
        {"case_triggers": "low_score,"},
        {"case_triggers": "low_score damaged"},
        {"case_desks": "Årsta"},
        {"case_desks": "a=b=c"},
        {"case_desks": "=b"},
        {"case_desks": "a=b,"},
        {"case_working_hours": "8 to 17"},
        {"case_low_score": 5},
    ],
)
def test_rules_that_do_not_exist_stop_the_start(wrong: dict[str, Any]) -> None:
    with pytest.raises(MustStop, match="KVITTERA_CASE_"):
        load_settings({}, **wrong)


def case(state: str = "resolved", because: tuple[str, ...] = ("low_score",), **changed: Any) -> Known:
    known: dict[str, Any] = {"score": 2, "wants_contact": False, "contested": False, **changed}
    return Known(CaseState(state), tuple(map(CaseTrigger, because)), **known)


@pytest.mark.parametrize(
    ("known", "later", "because", "reopens"),
    [
        (case(score=2), answer(score=1), ["low_score"], True),
        (case(score=5), answer(score=2), ["low_score"], True),
        (case(score=None), answer(score=2), ["low_score"], True),
        (case(score=1), answer(score=1, commented=True), ["low_score"], False),
        (case(score=1), answer(score=2), ["low_score"], False),
        (case(score=2), answer(score=5), ["low_score"], False),
        (case(score=2), answer(score=2, wants_contact=True), ["low_score", "wants_contact"], True),
        (case(wants_contact=True), answer(score=2, wants_contact=True), ["low_score", "wants_contact"], False),
        (case(score=2), answer(score=2, contested=True), ["low_score", "contested"], True),
        (case("open"), answer(score=1, wants_contact=True), ["low_score", "wants_contact"], False),
        (case("waiting"), answer(score=1), ["low_score"], False),
        (case(score=2), answer(score=1, wants_contact=True, erased=True), ["low_score"], False),
    ],
)
def test_a_later_revision_adds_reasons_and_may_reopen_a_resolved_case(
    known: Known, later: ResponseRecorded, because: list[str], reopens: bool
) -> None:
    found = on_later_revision(RULES, known, later)
    assert (list(found.opened_because), found.reopens) == (because, reopens)


def test_a_tap_at_a_kiosk_opens_no_case() -> None:
    assert RULES.triggers_of(answer(score=1)) == (CaseTrigger.LOW_SCORE,)
    assert RULES.triggers_of(answer(score=1, invited=False)) == ()
