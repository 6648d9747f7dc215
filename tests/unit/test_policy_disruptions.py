"""What a disruption does to requests: pauses, other words, a mark."""

from datetime import timedelta
from typing import Any

import pytest

from schemas.disruption import DeliveryDisruption
from services.notifier.policy import (
    Disrupted,
    Policies,
    Suppress,
    before_leaving,
    decide,
    marked,
)
from tests.builders import NOON, delivery, facts
from tests.deciding import asked, outcome, situation


def disruption(**changed: Any) -> DeliveryDisruption:
    plain: dict[str, Any] = {
        "disruption_id": "rain-1",
        "revision": 1,
        "state": "active",
        "kind": "weather",
        "policy": "tag",
        "areas": [{"country": "SE"}],
        "starts_at": NOON - timedelta(hours=1),
        "published_at": NOON,
        "text": {"sv": "Kraftigt regn", "en": "Heavy rain"},
    }
    return DeliveryDisruption.model_validate(plain | changed)


@pytest.mark.parametrize(
    ("changed", "result"),
    [
        ({}, ("asked", {"disruption": "rain-1", "disruption_policy": "tag"})),
        ({"policy": "pause"}, ("disruption_paused", {"disruption": "rain-1"})),
        ({"policy": "pause", "state": "over"}, ("asked", {})),
        ({"policy": "pause", "starts_at": NOON + timedelta(seconds=1)}, ("asked", {})),
        ({"policy": "pause", "ends_at": NOON}, ("asked", {})),
        ({"policy": "pause", "areas": [{"country": "NO"}]}, ("asked", {})),
        ({"policy": "pause", "areas": [{"country": "SE", "terminals": ["Umeå"]}]}, ("asked", {})),
        ({"policy": "pause", "areas": [{"country": "SE", "routes": ["Rutt 1"]}]}, ("asked", {})),
        ({"policy": "pause", "areas": [{"country": "SE", "postcode_prefixes": ["97"]}]}, ("asked", {})),
        (
            {
                "policy": "pause",
                "areas": [{"country": "SE", "postcode_prefixes": ["97", "12"], "terminals": ["Årsta"]}],
            },
            ("disruption_paused", {"disruption": "rain-1"}),
        ),
        ({"kind": "strike"}, ("disruption_paused", {"disruption": "rain-1"})),  # our own policy is stricter
    ],
)
def test_a_disruption_touches_its_area_and_time_only(
    changed: dict[str, Any], result: tuple[str, dict[str, object]]
) -> None:
    policies = {"disruptions": {"kind": {"strike": "pause"}}}
    message = delivery(postcode_prefix="120")
    assert outcome(situation(message, policies, disruptions=(disruption(**changed),))) == result


def test_a_pause_with_a_near_end_is_waited_for_and_one_that_ends_too_late_is_not() -> None:
    near, late = NOON + timedelta(hours=30), NOON + timedelta(hours=73)
    ask = asked(situation(disruptions=(disruption(policy="pause", ends_at=near),)))
    assert (ask.at, ask.evidence["held_by"]) == (near, "disruption")
    decision = decide(situation(disruptions=(disruption(policy="pause", ends_at=late),)))
    assert isinstance(decision, Suppress)
    assert (decision.reason, decision.next_eligible_at) == ("disruption_paused", late)


def test_a_delivery_is_marked_with_the_disruption_that_it_fell_in_so_that_answers_can_be_reported_apart() -> None:
    assert marked(situation(disruptions=(disruption(),))).disruption == "rain-1"
    assert marked(situation(disruptions=(disruption(policy="pause"),))).disruption == "rain-1"
    assert marked(situation(disruptions=(disruption(state="over"),))).disruption is None
    assert marked(situation()).disruption is None


def test_other_words_during_a_disruption_come_in_the_language_of_the_message() -> None:
    assert asked(situation(disruptions=(disruption(policy="reword"),))).notice == "Kraftigt regn"
    assert asked(situation(delivery(language="en"), disruptions=(disruption(policy="reword"),))).notice == "Heavy rain"
    in_danish = asked(situation(delivery(language="da"), disruptions=(disruption(policy="reword"),)))
    assert in_danish.notice == ""  # the message then says it in words of its own
    assert asked(situation(disruptions=(disruption(policy="tag"),))).notice is None
    assert asked(situation(disruptions=(disruption(),))).notice is None


@pytest.mark.parametrize(
    ("changed", "after", "found"),
    [
        ({}, 0, ("rain-1", False, None, None)),
        ({"areas": [{"country": "NO"}]}, 0, None),
        ({"policy": "reword"}, 0, ("rain-1", False, None, "Kraftigt regn")),
        ({"policy": "pause"}, 0, ("rain-1", True, None, None)),
        ({"policy": "pause", "ends_at": NOON + timedelta(hours=72)}, 71, ("rain-1", False, 72, None)),
        ({"policy": "pause", "ends_at": NOON + timedelta(hours=73)}, 72, ("rain-1", True, None, None)),
        ({"policy": "pause", "ends_at": NOON + timedelta(hours=72)}, 72, ("rain-1", False, None, None)),
        ({"policy": "pause", "ends_at": NOON + timedelta(hours=73)}, 74, ("rain-1", False, None, None)),
        ({"kind": "strike"}, 0, ("rain-1", True, None, None)),  # our own policy is stricter
    ],
)
def test_of_a_request_that_is_about_to_leave_a_pause_holds_or_stops_it_until_it_is_over(
    changed: dict[str, Any], after: int, found: tuple[str, bool, int | None, str | None] | None
) -> None:
    policies = Policies.model_validate({"disruptions": {"kind": {"strike": "pause"}}})
    now, oldest = NOON + timedelta(hours=after), timedelta(hours=72)
    says = before_leaving([disruption(**changed)], facts(), "sv", policies.disruptions, oldest, now)
    expected = None
    if found is not None:
        name, paused, hours, notice = found
        expected = Disrupted(name, paused, None if hours is None else NOON + timedelta(hours=hours), notice)
    assert says == expected
