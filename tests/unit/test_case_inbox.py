"""What the inbox says about a case: words, time left, and addresses that keep the view."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from schemas.feedback import CaseTrigger
from schemas.response import ResponseRecorded
from services.chassis.staff import Member, Role
from services.survey.cases import words
from services.survey.cases.case import Case, opened
from services.survey.cases.clock import WorkingHours
from services.survey.cases.detail import detail_of
from services.survey.cases.filters import Filters
from services.survey.cases.inbox import Looking, ring_of, row_of
from services.survey.cases.opening import Deadlines
from services.survey.cases.rules import CaseRules
from services.survey.cases.shown import Listed
from tests.builders import NOON, facts

DEADLINES = Deadlines(WorkingHours.parse("Mon-Fri 08-18"), timedelta(hours=10))
DUE = datetime(2026, 10, 14, 12, 0, tzinfo=UTC)


def case(delivery: dict[str, Any] | None = None, **changed: Any) -> Case:
    plain: dict[str, Any] = {"response_id": "r", "revision": 1, "score": 2, "answered_at": NOON, "recorded_at": NOON}
    answer = ResponseRecorded.model_validate({**plain, "delivery": facts(**(delivery or {})), **changed})
    because = CaseRules().triggers_of(answer) or (CaseTrigger.STAFF,)
    return opened(answer, because, desk="Årsta", due_at=DUE, now=NOON, traceparent=None)


def looking(at: datetime = NOON, role: Role = Role.AGENT) -> Looking:
    return Looking(Member("s-anna", "Anna L.", {"Årsta": role}), Filters(), DEADLINES, at)


@pytest.mark.parametrize(
    ("length", "told", "age"),
    [
        (timedelta(seconds=59), "0 min", "0 min old"),
        (timedelta(minutes=31), "31 min", "31 min old"),
        (timedelta(hours=1, minutes=12), "1 h 12 min", "1 h old"),
        (timedelta(hours=4, minutes=5), "4 h 05 min", "4 h old"),
        (timedelta(hours=9, minutes=50), "9 h", "9 h old"),
        (timedelta(hours=47), "47 h", "47 h old"),
        (timedelta(days=3, hours=4), "3 days", "3 days old"),
    ],
)
def test_lengths_are_told_as_people_say_them(length: timedelta, told: str, age: str) -> None:
    assert (words.duration(length), words.age(length)) == (told, age)


@pytest.mark.parametrize(
    ("at", "percent", "text", "hurry", "late"),
    [
        (NOON, 100, "10 h", False, False),
        (NOON + timedelta(hours=4), 60, "6 h 00 min", False, False),
        (DUE - timedelta(minutes=72), 12, "1 h 12 min", True, False),
        (DUE + timedelta(minutes=18), 0, "late 18 min", True, True),
    ],
)
def test_the_ring_tells_the_share_of_working_time_left(
    at: datetime, percent: int, text: str, hurry: bool, late: bool
) -> None:
    ring = ring_of(case(), looking(at))
    assert ring is not None
    assert (ring.percent, ring.text, ring.hurry, ring.late) == (percent, text, hurry, late)


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (case(contested=True), "Not received"),
        (case({"exceptions": ["damaged"]}), "Damaged"),
        (case(reasons=["on_time"]), "Late"),
        (case(reasons=["code_did_not_work"]), "Code did not work"),
        (case({"late": True}), "Late"),
        (case(score=4, wants_contact=True), "Wants contact"),
        (case(commented=True), "Low score"),
        (case(), "No comment"),
    ],
)
def test_a_case_is_named_by_what_it_is_about(given: Case, kind: str) -> None:
    assert words.kind(given) == kind


def test_a_reader_sees_that_there_is_a_comment_and_may_do_nothing() -> None:
    detail = detail_of(Listed(case(commented=True)), [], looking(role=Role.READER), same_day=None)
    assert detail.quote is None
    assert detail.quote_hidden
    assert (detail.may_work, detail.can) == (False, frozenset())


def test_an_agent_is_offered_what_the_state_allows() -> None:
    detail = detail_of(Listed(case(), "hej"), [], looking(), same_day=None)
    assert detail.can == {"contact", "resolve", "take", "note"}
    assert (detail.state, detail.score_words, detail.quote) == ("Open, nobody's", "Dissatisfied", "hej")


@pytest.mark.parametrize(
    ("promised", "told"),
    [
        ({}, ("no time was promised, delivered 14:00", None)),
        ({"promised_until": NOON}, ("by 14:00, delivered 14:00", None)),
        ({"promised_until": NOON - timedelta(minutes=1)}, ("by 13:59, delivered 14:00", "1 min late")),
    ],
)
def test_what_comes_at_the_last_moment_is_not_late(promised: dict[str, Any], told: tuple[str, str | None]) -> None:
    assert words.promise(case(promised).delivery) == told


def test_the_facts_tell_promise_choice_and_holder() -> None:
    given = case(
        {
            "promised_from": NOON - timedelta(hours=3),
            "promised_until": NOON - timedelta(hours=1, minutes=42),
            "route": "14",
            "method_chosen_by_recipient": False,
        },
        contested=True,
    )
    facts_told = {
        label: (text, alert) for label, text, alert in detail_of(Listed(given), [], looking(), same_day=None).facts
    }
    assert facts_told["Promised"] == ("11:00–12:18, delivered 14:00", "1 h 42 min late")
    assert facts_told["Own choice"] == ("No", None)
    assert facts_told["Who held it"] == ("Årsta, route 14", None)
    assert facts_told["Proof"] == ("No reference to a proof of delivery", None)


def test_the_facts_tell_who_held_the_parcel_leg_by_leg_and_name_no_driver() -> None:
    legs = [
        {"holder": "line_haul", "at": NOON},
        {"holder": "terminal", "code": "LUL", "at": NOON, "noticed": ["damaged"]},
        {"holder": "driver", "code": "d-4f1c", "at": NOON},
    ]
    shown = detail_of(Listed(case({"hand_overs": legs})), [], looking(), same_day=None).facts
    told = {label: text for label, text, _ in shown}
    assert told["Leg by leg"] == "line haul, then terminal LUL (damaged), then driver"


def test_addresses_keep_the_view_and_leave_out_what_is_no_filter() -> None:
    wanted = Filters.read(
        {"tab": "mine", "terminal": "Årsta", "trigger": "contested", "day": "2026-10-13", "q": "port"}
    )
    assert wanted == Filters("mine", "Årsta", "contested", "", date(2026, 10, 13), "port")
    assert Filters.read({"tab": "mine", "trigger": "contested"}).address("K-7F3Q-2") == (
        "/cases?tab=mine&trigger=contested&case=K-7F3Q-2"
    )
    wrong = {"tab": "' or 1=1--", "trigger": "state; DROP TABLE", "day": "2026-13-45", "terminal": "\x00", "q": " \n "}
    assert Filters.read(wrong) == Filters()
    assert Filters().address() == "/cases"


def test_rows_carry_the_view_in_their_links() -> None:
    row = row_of(Listed(case(), "hej"), "", looking(NOON + timedelta(hours=2)))
    assert (row.about, row.quote) == ("Årsta · No comment · 2 h old", "hej")
    assert row.href.startswith("/cases?case=K-")
