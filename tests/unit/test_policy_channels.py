"""Which address a message goes to, and in which language."""

from datetime import timedelta
from typing import Any

import pytest
from email_validator import validate_email
from hypothesis import given
from hypothesis import strategies as st

from schemas.delivery import ChannelKind
from services.notifier.policy import (
    Ask,
    Preference,
    Suppress,
    decide,
)
from services.notifier.policy.addresses import _PLAIN_EMAIL
from tests.builders import EMAIL, SMS, delivery
from tests.deciding import NOW, asked, outcome, situation


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
