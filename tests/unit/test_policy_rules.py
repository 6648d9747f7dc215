"""Each rule for not asking: when it matches, with which evidence, and when the person may be asked again."""

from datetime import datetime

import pytest

from schemas.delivery import Correction, DeliveryCompleted, PersonalData
from services.notifier.policy import (
    Preference,
    Situation,
    Suppress,
    decide,
)
from tests.builders import delivery
from tests.deciding import asked, contacts, merchants, outcome, situation


def with_consent(*bases: str, country: str = "DE") -> DeliveryCompleted:
    person = delivery(country=country)
    pii = {**person.pii.model_dump(), "consent": [{"basis": b} for b in bases]}
    return person.model_copy(update={"pii": PersonalData.model_validate(pii)})


def test_who_said_never_is_never_asked() -> None:
    assert outcome(situation(preference=Preference(never=True)))[0] == "opted_out"


@pytest.mark.parametrize(
    ("shown", "result"),
    [
        ((), ("consent_missing", {"country": "DE", "needs": "consent,soft_opt_in_notice", "shown": "nothing"})),
        (
            ("own_customer",),
            ("consent_missing", {"country": "DE", "needs": "consent,soft_opt_in_notice", "shown": "own_customer"}),
        ),
        (("own_customer", "soft_opt_in_notice"), ("asked", {})),
        (("consent",), ("asked", {})),
        (("consent", "objection"), ("objected", {})),
    ],
)
def test_where_the_law_wants_consent_it_must_be_shown(
    shown: tuple[str, ...], result: tuple[str, dict[str, object]]
) -> None:
    gate = {"countries": {"country": {"DE": {"needs": ["consent", "soft_opt_in_notice"], "source": "BGH"}}}}
    assert outcome(situation(with_consent(*shown), gate)) == result
    assert outcome(situation(with_consent(*shown, country="SE"), gate))[0] in {"asked", "objected"}


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        (Correction.RETURNED, "returned"),
        (Correction.CANCELLED, "cancelled"),
        (Correction.NOT_DELIVERED, "not_delivered"),
        (Correction.CLAIM_OPENED, "claim_opened"),
        (Correction.CLAIM_CLOSED, "asked"),
        (Correction.FACTS_CORRECTED, "asked"),
    ],
)
def test_a_correction_that_came_first_counts(what: Correction, reason: str) -> None:
    assert outcome(situation(correction=what))[0] == reason


@pytest.mark.parametrize(
    ("exceptions", "reason"),
    [(["damaged"], "asked"), (["damaged", "claim_open"], "exception_open"), (["partial"], "exception_open")],
)
def test_damaged_parcels_are_asked_about_where_the_policy_says_so(exceptions: list[str], reason: str) -> None:
    policies = {"exceptions": {"ask_about": ["damaged"]}}
    assert outcome(situation(delivery(exceptions=exceptions), policies))[0] == reason


def test_a_shop_may_decline_and_another_shop_is_not_touched() -> None:
    denied = merchants(ask="deny")
    assert outcome(situation(policies=denied)) == ("merchant_denied", {"merchant": "fjallbod"})
    assert outcome(situation(delivery(merchant_id="glod"), denied))[0] == "asked"
    assert outcome(situation(delivery(merchant_id=None), denied))[0] == "asked"


def test_a_shop_may_be_named_in_the_message() -> None:
    ask = asked(situation(policies=merchants(ask="co_brand")))
    assert (ask.co_brand, dict(ask.evidence)) == ("Fjällbod", {"co_brand": "Fjällbod"})
    assert asked(situation(policies=merchants(ask="allow"))).co_brand is None


def test_a_message_that_is_ready_at_night_waits_for_the_morning() -> None:
    policies = {"hours": {"default": {"quiet_from": "21:00", "quiet_until": "08:00"}}}
    late = datetime.fromisoformat("2026-10-13T19:30:00Z")
    s = situation(delivery(occurred_at=late), policies)
    ask = asked(Situation(s.delivery, late, s.history, s.rules, late))
    assert (ask.at, ask.evidence["held_by"]) == (datetime.fromisoformat("2026-10-14T06:00:00Z"), "quiet_hours")


def test_every_rule_that_matched_leaves_its_evidence() -> None:
    s = situation(
        delivery(exceptions=["partial"]),
        {
            **merchants(ask="deny"),
            "contact": {"carrier": {"most": 1, "days": 30}},
            "ids": ["contact.v2", "merchants.v1"],
        },
        contacts=contacts(1),
    )
    decision = decide(s)
    assert isinstance(decision, Suppress)
    assert decision.matched == ("exception_open", "merchant_denied", "carrier_budget_spent")
    assert decision.evidence == {
        "policies": "contact.v2 merchants.v1",
        "exceptions": "partial",
        "merchant": "fjallbod",
        "carrier_budget_spent_most": 1,
        "carrier_budget_spent_days": 30,
    }
