"""What a disruption does to requests: pauses, other words, a mark."""

from datetime import timedelta
from typing import Any

import pytest

from schemas.disruption import DeliveryDisruption
from services.notifier.policy import (
    Suppress,
    decide,
    marked,
)
from tests.builders import NOON, delivery
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
