"""What the demo's made-up people and parcels show of the rules: the night, a strike, a shop that asks first, STOP."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from schemas.delivery import ChannelKind
from schemas.disruption import Area, DeliveryDisruption, DisruptionKind, DisruptionState
from services.demo.people import Case, Town, zone_at_night
from services.demo.place import POLICIES
from services.notifier.policies import read_policies
from services.notifier.policy import Ask, History, Rules, Situation, Suppress, decide

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def decided(case: Case, **history: object) -> Ask | Suppress:
    """What the notifier decides about a parcel by the demo's policies."""
    policies = read_policies(POLICIES).at(NOW)
    rules = Rules(timedelta(hours=72), timedelta(0), frozenset(ChannelKind), policies, b"key")
    return decide(Situation(case.delivery, NOW, History(**history), rules, NOW))  # type: ignore[arg-type]


def cases(town: Town, number: int) -> list[Case]:
    return [town.next_case(NOW) for _ in range(number)]


@pytest.mark.parametrize("hour", range(24))
def test_there_is_always_a_zone_in_which_people_sleep(hour: int) -> None:
    moment = datetime(2026, 11, 22, hour, 59, tzinfo=UTC)

    assert moment.astimezone(ZoneInfo(zone_at_night(moment))).hour == 1


def test_by_day_no_message_waits_and_at_night_those_that_go_abroad_wait_for_the_morning_there() -> None:
    town = Town(1, "Nordposten Demo")
    by_day = [decided(c) for c in cases(town, 100)]
    town.night = True
    at_night = [(c.delivery.delivery.zone, decided(c)) for c in cases(town, 100)]

    assert not any(isinstance(d, Ask) and "held_by" in d.evidence for d in by_day)
    held = [(zone, d.at) for zone, d in at_night if isinstance(d, Ask) and d.evidence.get("held_by") == "quiet_hours"]
    assert 20 < len(held) < 80
    assert {at.astimezone(ZoneInfo(zone)).strftime("%H:%M") for zone, at in held} == {"08:00"}


def test_during_the_strike_nobody_is_asked_whose_parcel_passed_a_terminal_that_strikes() -> None:
    strike = DeliveryDisruption(
        disruption_id="strike-1",
        revision=1,
        kind=DisruptionKind.STRIKE,
        state=DisruptionState.ACTIVE,
        areas=(Area(country="SE", terminals=("Malmö",)),),
        starts_at=NOW - timedelta(hours=1),
        published_at=NOW,
    )
    asked = {True: 0, False: 0}
    for case in cases(Town(1, "Nordposten Demo"), 200):
        asked[case.delivery.delivery.terminal == "Malmö"] += isinstance(decided(case, disruptions=(strike,)), Ask)

    assert asked[True] == 0
    assert asked[False] > 100


def test_one_shop_asks_about_some_of_its_orders_itself_and_another_is_named_in_the_message() -> None:
    found = [(c.delivery.delivery.merchant_id, decided(c)) for c in cases(Town(1, "Nordposten Demo"), 300)]

    reasons = {(shop, d.reason) for shop, d in found if isinstance(d, Suppress)}
    assert ("glod", "merchants_turn") in reasons
    assert {shop for shop, d in found if isinstance(d, Ask) and d.co_brand} == {"trad-knapp"}
    assert {shop for shop, reason in reasons if reason == "merchants_turn"} == {"glod"}


def test_who_said_stop_gets_another_parcel_when_the_word_has_had_time_to_get_round() -> None:
    all_cases = cases(Town(1, "Nordposten Demo", stoppers=0.02), 2_000)
    at: dict[str, list[int]] = {c.address: [] for c in all_cases if c.behaviour.stops}
    for number, case in enumerate(all_cases):
        if case.address in at:
            at[case.address].append(number)

    assert len(at) > 10
    assert max(len(parcels) for parcels in at.values()) == 2
    assert all(later - first > 300 for parcels in at.values() for first, later in pairwise(parcels))
    assert not any(c.behaviour.stops for c in cases(Town(1, "Nordposten Demo"), 500))
