"""How often a person may be asked, and which share of deliveries: budgets, wishes and draws."""

from datetime import timedelta

import pytest

from services.notifier.policy import (
    Ask,
    Preference,
    Suppress,
    decide,
)
from services.notifier.policy.draws import draw
from tests.builders import delivery
from tests.deciding import KEY, NOW, contacts, merchants, outcome, situation


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
