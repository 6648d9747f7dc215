"""A partner who polls every second of a month and knows who answered recovers no answer (security row 22)."""

import os
import random

import pytest

from services.aggregator.partners.publication import Rules
from tests import silence
from tests.attacker import DAY, Attacker, CountingAll, World, month, watched
from tests.two_views import TwoViews

DAYS = 30
HOUR = 3600
MONTHS = int(os.environ.get("ATTACKED_MONTHS", "2"))
"""`ATTACKED_MONTHS=200` makes the long version."""


def attack(world: World, seed: int, *, every: int = DAY, days: int = DAYS) -> tuple[int, int]:
    """How many scores were recovered of how many published. `world` lives through the month of `seed`."""
    attacker = Attacker()
    answers = month(seed, days)
    told = 0
    for visible in watched(world, answers, set(range(0, days * DAY + 1, every)), last=days * DAY):
        for made in world.history[told:]:
            attacker.told(made)
        told = len(world.history)
        attacker.sees(visible)
    given = {(a.respondent, a.score) for a in answers}
    recovered = attacker.recovered()
    assert {(who, score) for (who, _), score in recovered.items()} <= given, "the attack must not guess"
    assert world.polls == days * DAY + 1
    print(
        f"recovered {len(recovered)} of {len(world.released)} published, by {world.polls:,} polls in {days} days"
        f" of {len(answers)} changes, {len(attacker.equations):,} sums"
    )
    return len(recovered), len(world.released)


def a_world(rules: Rules, seed: int = 0, held: float = 1 / 3) -> World:
    return World(rules, random.Random(seed), held=held)


@pytest.mark.parametrize("seed", range(MONTHS))
@pytest.mark.parametrize("k", [5, 10])
def test_a_month_of_polling_recovers_no_answer_and_most_answers_are_published(seed: int, k: int) -> None:
    world = a_world(Rules(k), seed)
    recovered, published = attack(world, seed)
    assert recovered == 0
    assert published > 0.8 * len(world.present)


def test_the_same_attack_recovers_answers_where_k_is_off() -> None:
    off = a_world(Rules(1, days=1, withhold_telling=False), held=0)
    recovered, _ = attack(off, 0)
    assert recovered > 20


def test_the_same_attack_recovers_nearly_all_where_k_is_off_and_cells_are_live() -> None:
    off = a_world(Rules(1, days=1, withhold_telling=False), held=0)
    recovered, published = attack(off, 0, every=HOUR, days=5)
    assert recovered > 0.5 * published


def test_the_same_attack_recovers_answers_where_all_are_counted_and_not_the_changed() -> None:
    live = CountingAll(Rules(10), random.Random(0), held=0)
    recovered, _ = attack(live, 0, every=HOUR, days=5)
    assert recovered > 0


@pytest.mark.parametrize("seed", range(2 * MONTHS))
def test_a_merchant_that_subtracts_its_own_view_from_that_of_all_recovers_no_answer(seed: int) -> None:
    recovered, published = TwoViews(Rules(10, merchants=3, beside={}), seed).attack(DAYS)
    print(f"recovered {recovered} of {published} published")
    assert recovered == 0
    assert published > 100


def test_the_same_merchant_recovers_answers_where_the_rules_hold_for_the_whole_alone() -> None:
    recovered = sum(TwoViews(Rules(10, merchants=3), seed, held=0).attack(DAYS)[0] for seed in range(2))
    print(f"recovered {recovered}")
    assert recovered > 2


FIVES = (0.03, 0.02, 0.03, 0.06, 0.86)
"""The shares of scores that are usual for parcels: the more alike, the more a cell that is not shown can tell."""


def learned_from_silence(kind: type[World], seeds: range) -> list[bool]:
    """Of whom one who sees what is not shown becomes nine tenths sure that all answered the same; is it so?"""
    found = []
    for seed in seeds:
        listener = silence.listened(kind(Rules(10), random.Random(seed)), seed, FIVES)
        found += [b.is_so for b in listener.beliefs if b.by_numbers < 0.5 and b.with_silence >= 0.9]
    return found


def test_what_is_not_shown_makes_nobody_sure_of_an_answer() -> None:
    assert learned_from_silence(World, range(10 * MONTHS)) == []


def test_what_is_not_shown_tells_answers_where_a_lot_is_drawn_at_each_moment() -> None:
    sure = learned_from_silence(silence.Anew, range(20))
    print(f"sure of {len(sure)} cells, right about {sum(sure)}")
    assert len(sure) > 5
    assert sum(sure) > 0.8 * len(sure)
