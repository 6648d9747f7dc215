"""Each rule for not asking: when it matches, with which evidence, and when the person may be asked again."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from email_validator import validate_email
from hypothesis import given
from hypothesis import strategies as st

from schemas.delivery import ChannelKind, Correction, DeliveryCompleted, PersonalData
from schemas.disruption import DeliveryDisruption
from services.notifier.policy import (
    Ask,
    Contacted,
    History,
    Policies,
    Preference,
    Rules,
    Situation,
    Suppress,
    decide,
    marked,
)
from services.notifier.policy.addresses import _PLAIN_EMAIL
from services.notifier.policy.draws import draw
from tests.builders import EMAIL, NOON, SMS, delivery

KEY = bytes(range(16))
NOW = NOON + timedelta(hours=1)


def situation(
    message: DeliveryCompleted | None = None, policies: dict[str, Any] | None = None, **history: Any
) -> Situation:
    rules = Rules(
        timedelta(hours=72),
        timedelta(0),
        frozenset({ChannelKind.EMAIL, ChannelKind.SMS}),
        Policies.model_validate(policies or {}),
        KEY,
    )
    return Situation(message or delivery(), NOON, History(**history), rules, NOW)


def outcome(s: Situation) -> tuple[str, dict[str, object]]:
    """The reason and its evidence, or "asked" and that of asking."""
    decision = decide(s)
    return (decision.reason if isinstance(decision, Suppress) else "asked"), dict(decision.evidence)


def asked(s: Situation) -> Ask:
    decision = decide(s)
    assert isinstance(decision, Ask), decision
    return decision


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


def merchants(**rule: object) -> dict[str, Any]:
    return {"merchants": {"merchant": {"fjallbod": rule}}}


def test_a_shop_may_decline_and_another_shop_is_not_touched() -> None:
    denied = merchants(ask="deny")
    assert outcome(situation(policies=denied)) == ("merchant_denied", {"merchant": "fjallbod"})
    assert outcome(situation(delivery(merchant_id="glod"), denied))[0] == "asked"
    assert outcome(situation(delivery(merchant_id=None), denied))[0] == "asked"


def test_a_shop_may_be_named_in_the_message() -> None:
    ask = asked(situation(policies=merchants(ask="co_brand")))
    assert (ask.co_brand, dict(ask.evidence)) == ("Fjällbod", {"co_brand": "Fjällbod"})
    assert asked(situation(policies=merchants(ask="allow"))).co_brand is None


def test_orders_are_shared_out_between_the_shop_and_us_and_all_parcels_of_an_order_alike() -> None:
    policies = merchants(ask="merchant_first", merchant_share=0.25)
    found = {}
    for n in range(2000):
        both = {
            outcome(situation(delivery(delivery_id=f"D-{n}-{parcel}", order_id=f"O-{n}"), policies))[0]
            for parcel in range(2)
        }
        [found[n]] = both
    assert 420 < sum(reason == "merchants_turn" for reason in found.values()) < 580
    assert set(found.values()) == {"merchants_turn", "asked"}


def test_a_share_of_orders_is_held_out_whoever_asks() -> None:
    policies = merchants(hold_out=0.1)
    reasons = [outcome(situation(delivery(delivery_id=f"D-{n}"), policies)) for n in range(2000)]
    assert 140 < sum(r == ("held_out", {"share": "0.1"}) for r in reasons) < 260


def test_an_order_is_asked_about_once() -> None:
    assert outcome(situation(order_asked=True))[0] == "order_already_asked"


def contacts(*days_ago: float, merchant: str | None = "fjallbod") -> tuple[Contacted, ...]:
    return tuple(Contacted(NOW - timedelta(days=d), ChannelKind.EMAIL, merchant) for d in days_ago)


@pytest.mark.parametrize(
    ("days_ago", "free_in_days"),
    [((1, 2), None), ((1, 2, 80), 10), ((1, 2, 3, 80), 87), ((1, 2, 90), None), ((-1, 1, 2), 88)],
)
def test_the_carriers_budget_counts_every_contact_and_tells_when_there_is_room_again(
    days_ago: tuple[float, ...], free_in_days: float | None
) -> None:
    policies = {"contact": {"carrier": {"most": 3, "days": 90}}}
    decision = decide(situation(policies=policies, contacts=contacts(*days_ago, merchant=None)))
    if free_in_days is None:
        assert isinstance(decision, Ask)
    else:
        assert isinstance(decision, Suppress)
        assert (decision.reason, dict(decision.evidence)) == (
            "carrier_budget_spent",
            {"carrier_budget_spent_most": 3, "carrier_budget_spent_days": 90},
        )
        assert decision.next_eligible_at == NOW + timedelta(days=free_in_days)


def test_the_shops_budget_counts_its_own_parcels_only() -> None:
    policies = {"contact": {"merchant": {"most": 1, "days": 30}}}
    assert outcome(situation(policies=policies, contacts=contacts(5, merchant="glod")))[0] == "asked"
    assert outcome(situation(policies=policies, contacts=contacts(5)))[0] == "merchant_budget_spent"
    assert outcome(situation(delivery(merchant_id=None), policies, contacts=contacts(5, merchant=None)))[0] == "asked"


def test_a_persons_own_wish_is_stricter_than_the_budgets() -> None:
    decision = decide(situation(contacts=contacts(10, 364), preference=Preference(most_per_year=2)))
    assert isinstance(decision, Suppress)
    assert (decision.reason, decision.next_eligible_at) == ("wished_less_often", NOW + timedelta(days=1))
    assert outcome(situation(contacts=contacts(10, 365), preference=Preference(most_per_year=2)))[0] == "asked"


def test_a_budget_of_none_lets_nobody_be_asked_and_promises_nothing() -> None:
    decision = decide(situation(policies={"contact": {"carrier": {"most": 0, "days": 30}}}))
    assert isinstance(decision, Suppress)
    assert (decision.reason, decision.next_eligible_at) == ("carrier_budget_spent", None)


def test_a_draw_is_the_first_64_bits_of_hmac_sha256_over_two_to_the_64() -> None:
    # printf 'D-1' | openssl dgst -sha256 -mac HMAC -macopt hexkey:000102030405060708090a0b0c0d0e0f
    assert draw(KEY, "D-1") == HMAC_OF_D1 / 2**64


HMAC_OF_D1 = 0xD9B0B3A08CFFECD9


def test_sampling_asks_the_share_that_is_set_and_tells_it() -> None:
    policies = {"sampling": {"rate": 1.0, "country": {"SE": 0.2}, "merchant": {"glod": 0.0}}}
    found = [outcome(situation(delivery(delivery_id=f"D-{n}"), policies)) for n in range(2000)]
    assert 320 < sum(f == ("asked", {"sample_rate": "0.2"}) for f in found) < 480
    assert (
        sum(f == ("not_sampled", {"sample_rate": "0.2"}) for f in found) + sum(f[0] == "asked" for f in found) == 2000
    )
    assert outcome(situation(delivery(merchant_id="glod"), policies))[0] == "not_sampled"
    assert outcome(situation(delivery(country="NO"), policies)) == ("asked", {})


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


def test_one_channel_only_is_kept_to() -> None:
    only_sms = Preference(only_channel=ChannelKind.SMS)
    assert asked(situation(delivery(channels=(EMAIL, SMS)), preference=only_sms)).channel.kind is ChannelKind.SMS
    assert outcome(situation(delivery(channels=(EMAIL,)), preference=only_sms)) == (
        "channel_not_wanted",
        {"only": "sms", "given": "email"},
    )


@pytest.mark.parametrize(
    ("kind", "address", "usable"),
    [
        ("email", "astrid@mottagare.example\r\nBcc: x@y.example", False),
        ("email", "astrid@mottagare.example\u0085", False),
        ("email", "åsa@räksmörgås.example", True),
        ("email", "a@xn--rksmrgs-5wao1o.example", True),
        ("email", "astrid@@mottagare.example", False),
        ("email", "a..b@mottagare.example", False),
        ("email", "Astrid <astrid@mottagare.example>", False),
        ("email", "a" * 65 + "@mottagare.example", False),
        ("email", "astrid@-mottagare.example", False),
        ("email", "astrid@mottagare..example", False),
        ("sms", "+999701740634", False),  # no country has this code
        ("sms", "+46701", False),  # too short for Sweden
        ("sms", "+4670174063412345678", False),  # longer than any number
        ("sms", "+46701740634\u2028", False),
        ("sms", "0046701740634", False),
        ("sms", "+17005550123", True),
    ],
)
def test_an_address_that_cannot_work_is_a_reason_and_never_an_error(kind: str, address: str, usable: bool) -> None:
    # The contract refuses control characters; here they are taken to have slipped through.
    message = delivery()
    channel = message.pii.model_copy(
        update={"channels": (EMAIL_CHANNEL.model_copy(update={"kind": ChannelKind(kind), "address": address}),)}
    )
    result = outcome(situation(message.model_copy(update={"pii": channel})))
    assert result == (("asked", {}) if usable else ("unusable_address", {"given": kind}))


EMAIL_CHANNEL = delivery().pii.channels[0]
SMS_CHANNEL = delivery((SMS,)).pii.channels[0]
LATER = NOW + timedelta(days=90)


def test_an_address_that_was_reported_as_hopeless_gives_way_to_the_next_one() -> None:
    both = delivery((EMAIL, SMS))
    assert asked(situation(both, unreachable={EMAIL_CHANNEL: LATER})).channel == SMS_CHANNEL
    assert asked(situation(both, unreachable={SMS_CHANNEL: LATER})).channel == EMAIL_CHANNEL


def test_when_all_addresses_are_hopeless_nobody_is_asked_until_the_first_is_tried_again() -> None:
    soon = NOW + timedelta(days=3)
    both = situation(delivery((EMAIL, SMS)), unreachable={EMAIL_CHANNEL: LATER, SMS_CHANNEL: soon})
    decision = decide(both)
    assert isinstance(decision, Suppress)
    assert (decision.reason, decision.matched, decision.next_eligible_at) == ("unreachable", ("unreachable",), soon)
    assert decision.evidence["given"] == "email,sms"
    only_sms = situation(
        delivery((EMAIL, SMS)), preference=Preference(only_channel=ChannelKind.SMS), unreachable={SMS_CHANNEL: soon}
    )
    assert outcome(only_sms)[0] == "unreachable"


@given(st.from_regex(_PLAIN_EMAIL, fullmatch=True))
def test_the_short_way_for_plain_addresses_takes_none_that_the_library_refuses(address: str) -> None:
    validate_email(address, check_deliverability=False, globally_deliverable=False, strict=True)


@pytest.mark.parametrize(
    ("language", "country", "policy", "used"),
    [
        ("fi", "FI", {}, "en"),
        ("nb", "NO", {"fallback": {"nb": ["da", "sv"]}}, "sv"),
        ("nb", "NO", {"fallback": {"nb": ["xx"]}}, "en"),
        (None, "SE", {"country": {"SE": "sv"}}, "sv"),
        (None, "XX", {"country": {"SE": "sv"}}, "en"),
        ("xx", "SE", {"country": {"SE": "sv"}, "last": None}, None),
    ],
)
def test_the_chain_of_languages_is_followed_in_its_order(
    language: str | None, country: str, policy: dict[str, Any], used: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.notifier.policy.languages.LANGUAGES", ("sv", "en"))
    decision = decide(situation(delivery(language=language, country=country), {"languages": policy}))
    if used is None:
        assert isinstance(decision, Suppress)
        assert (decision.reason, dict(decision.evidence)) == ("language_without_message", {"language": "xx"})
    else:
        assert isinstance(decision, Ask)
        assert (decision.language, decision.evidence["language_fallback_from"]) == (used, language or "none")


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
