"""Whether, when, how and in which language people are asked."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.delivery import ChannelKind, ContactChannel, DeliveryCompleted, DeliveryException, PersonalData
from services.notifier.policy import RULES, Ask, History, Rules, Situation, Suppress, decide, normalised
from tests.builders import EMAIL, NOON, SMS, delivery

RULES_OF_TEST = Rules(timedelta(hours=72), timedelta(minutes=30), frozenset({ChannelKind.EMAIL, ChannelKind.SMS}))


def situation(
    message: DeliveryCompleted,
    *,
    now: datetime = NOON + timedelta(hours=1),
    appended_at: datetime = NOON,
    history: History | None = None,
    rules: Rules = RULES_OF_TEST,
) -> Situation:
    return Situation(message, appended_at, history or History(), rules, now)


def asked(s: Situation) -> Ask:
    decision = decide(s)
    assert isinstance(decision, Ask)
    return decision


def suppressed(s: Situation) -> Suppress:
    decision = decide(s)
    assert isinstance(decision, Suppress)
    return decision


def test_an_ordinary_delivery_is_asked_about_after_the_pause_on_the_favourite_channel() -> None:
    ask = asked(situation(delivery(channels=(EMAIL, SMS))))
    assert ask.channel == ContactChannel(kind=ChannelKind.EMAIL, address="astrid.canary@mottagare.example")
    assert ask.at == NOON + timedelta(hours=1, minutes=30)
    assert (ask.language, ask.survey, dict(ask.evidence)) == ("sv", "delivery.v1", {})


@pytest.mark.parametrize("exception", list(DeliveryException))
def test_a_delivery_that_went_wrong_is_not_asked_about_as_if_it_had_not(exception: DeliveryException) -> None:
    decision = suppressed(situation(delivery(exceptions=[exception])))
    assert (decision.reason, decision.matched) == ("exception_open", ("exception_open",))
    assert decision.evidence == {"exceptions": exception.value}


def test_the_second_parcel_of_a_drop_is_not_asked_about() -> None:
    decision = suppressed(situation(delivery(drop_id="stop-7"), history=History(drop_asked=True)))
    assert (decision.reason, decision.matched) == ("drop_already_asked", ("drop_already_asked",))


def test_a_delivery_from_the_future_is_not_asked_about() -> None:
    decision = suppressed(situation(delivery(), now=NOON - timedelta(minutes=5, seconds=1)))
    assert (decision.reason, decision.evidence) == ("in_the_future", {"seconds": 301})


def test_clocks_may_differ_by_five_minutes() -> None:
    asked(situation(delivery(), now=NOON - timedelta(minutes=5)))


@pytest.mark.parametrize(
    ("happened", "arrived", "reason"),
    [
        (NOON - timedelta(hours=72), NOON, None),
        (NOON - timedelta(hours=72, seconds=1), NOON, "too_old"),  # a back-fill
        (NOON, NOON - timedelta(hours=72, seconds=1), "too_old"),  # a replay of what arrived long ago
        (NOON, NOON - timedelta(hours=72), None),
    ],
)
def test_age_counts_from_the_event_and_from_its_arrival(
    happened: datetime, arrived: datetime, reason: str | None
) -> None:
    decision = decide(situation(delivery(occurred_at=happened), now=NOON, appended_at=arrived))
    assert (decision.reason if isinstance(decision, Suppress) else None) == reason


def test_the_age_is_told_in_hours() -> None:
    decision = suppressed(situation(delivery(), now=NOON + timedelta(hours=100)))
    assert decision.evidence == {"age_hours": 100}


@pytest.mark.parametrize(
    ("given_channels", "told"),
    [
        ((), ""),
        (({"kind": "push", "address": "device-1"},), "push"),  # not a channel that is set up
    ],
)
def test_without_a_usable_address_nobody_is_asked(given_channels: tuple[dict[str, str], ...], told: str) -> None:
    decision = suppressed(situation(delivery(channels=given_channels)))
    assert (decision.reason, decision.evidence) == ("no_reachable_channel", {"given": told})


@pytest.mark.parametrize(
    ("kind", "address", "hopeless"),
    [
        ("email", "astrid@mottagare.example", False),
        ("email", "o'hara+paket@sub.mottagare.example", False),
        ("email", "@mottagare.example", True),
        ("email", "astrid@", True),
        ("email", "astrid@localhost", True),
        ("email", "   ", True),
        ("sms", "+46701740634", False),
        ("sms", "+46 70-174 06 34", False),  # as people write it
        ("sms", "+46 (0)70 174 06 34", False),
        ("sms", "0701740634", True),  # which country?
        ("sms", "+ +", True),
        ("sms", "+46", True),
        ("sms", "+46七〇一七四〇六", True),
        ("sms", "call me", True),
    ],
)
def test_only_hopeless_addresses_are_passed_over(kind: str, address: str, hopeless: bool) -> None:
    decision = decide(situation(delivery(channels=({"kind": kind, "address": address},))))
    assert isinstance(decision, Suppress) == hopeless


def test_a_hopeless_favourite_gives_way_to_the_next_address() -> None:
    ask = asked(situation(delivery(channels=({"kind": "sms", "address": "okänt"}, EMAIL))))
    assert ask.channel.kind is ChannelKind.EMAIL


@pytest.mark.parametrize(
    ("wanted", "used", "evidence"),
    [
        ("sv", "sv", {}),
        ("en", "en", {}),
        ("fi", "fi", {}),
        ("pl", "en", {"language_fallback_from": "pl"}),
        (None, "en", {"language_fallback_from": "none"}),
    ],
)
def test_a_fallback_language_is_recorded(wanted: str | None, used: str, evidence: dict[str, str]) -> None:
    ask = asked(situation(delivery(language=wanted)))
    assert (ask.language, dict(ask.evidence)) == (used, evidence)


def test_all_rules_that_match_are_recorded_and_the_first_decides() -> None:
    worst = delivery(channels=(), exceptions=["damaged"], drop_id="stop-7")
    decision = suppressed(situation(worst, now=NOON + timedelta(days=30), history=History(drop_asked=True)))
    assert decision.reason == "exception_open"
    assert decision.matched == ("exception_open", "drop_already_asked", "too_old", "no_reachable_channel")


def test_an_objection_outweighs_every_consent() -> None:
    person = delivery()
    told = PersonalData.model_validate(
        {**person.pii.model_dump(), "consent": [{"basis": "consent"}, {"basis": "objection"}]}
    )
    assert suppressed(situation(person.model_copy(update={"pii": told}))).reason == "objected"


@pytest.mark.parametrize(("minutes", "asks"), [(-1, True), (0, False), (1, False)])
def test_a_delivery_from_before_the_erasure_stays_unasked_and_a_later_one_is_a_new_relation(
    minutes: int, asks: bool
) -> None:
    history = History(erased_at=NOON + timedelta(minutes=minutes))
    decision = decide(situation(delivery(), history=history))
    assert (decision.reason if isinstance(decision, Suppress) else "asks") == ("asks" if asks else "erased")


def test_the_order_of_the_rules_is_fixed() -> None:
    assert [rule.__name__ for rule in RULES] == [
        "opted_out",
        "objected",
        "erased",
        "consent_missing",
        "returned",
        "cancelled",
        "not_delivered",
        "claim_opened",
        "exception_open",
        "merchant_denied",
        "merchants_turn",
        "held_out",
        "order_already_asked",
        "drop_already_asked",
        "wished_less_often",
        "carrier_budget_spent",
        "merchant_budget_spent",
        "not_sampled",
        "disruption_paused",
        "in_the_future",
        "too_old",
        "channel_not_wanted",
        "no_reachable_channel",
        "unusable_address",
        "unreachable",
        "language_without_message",
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (SMS, {"kind": "sms", "address": "+46 70-174 06 34"}),
        (SMS, {"kind": "sms", "address": "+46 (0)70 174.06.34"}),
        (EMAIL, {"kind": "email", "address": " Astrid.Canary@MOTTAGARE.example"}),
    ],
)
def test_one_person_spelled_twice_is_one_person(one: dict[str, str], other: dict[str, str]) -> None:
    assert normalised(ContactChannel.model_validate(one)) == normalised(ContactChannel.model_validate(other))


moments = st.datetimes(datetime(1971, 1, 1), datetime(2260, 1, 1)).map(lambda d: d.replace(tzinfo=NOON.tzinfo))  # noqa: DTZ001
addresses = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=3, max_size=40) | st.sampled_from(
    ["+46701740634", "a@b.se", "+46 70 1"]
)
channels = st.lists(
    st.fixed_dictionaries({"kind": st.sampled_from([k.value for k in ChannelKind]), "address": addresses}), max_size=4
)


@given(
    happened=moments,
    arrived=moments,
    now=moments,
    reachable=channels,
    language=st.sampled_from([None, "sv", "en", "fi", "xx"]),
    exceptions=st.lists(st.sampled_from(list(DeliveryException)), max_size=3),
    drop_asked=st.booleans(),
    kinds=st.frozensets(st.sampled_from(list(ChannelKind))),
)
def test_every_situation_is_decided_and_always_in_the_same_way(
    happened: datetime,
    arrived: datetime,
    now: datetime,
    reachable: list[dict[str, str]],
    language: str | None,
    exceptions: list[DeliveryException],
    drop_asked: bool,
    kinds: frozenset[ChannelKind],
) -> None:
    message = delivery(channels=tuple(reachable), language=language, occurred_at=happened, exceptions=exceptions)
    rules = Rules(RULES_OF_TEST.max_age, RULES_OF_TEST.delay, kinds)
    s = situation(message, now=now, appended_at=arrived, history=History(drop_asked=drop_asked), rules=rules)
    decision: Any = decide(s)
    assert decide(s) == decision
    if isinstance(decision, Ask):
        assert decision.channel.kind in kinds
        assert decision.at == now + timedelta(minutes=30)
        assert now - happened <= timedelta(hours=72)
        assert now - arrived <= timedelta(hours=72)
        assert not exceptions
        assert not drop_asked
    else:
        assert decision.reason == decision.matched[0]
