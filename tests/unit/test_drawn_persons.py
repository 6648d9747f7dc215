"""Whatever the policies and however the parcels come: nobody is asked against consent, caps or quiet hours."""

import os
import random
from collections import Counter

from services.notifier.policy import Ask
from tests.drawn_persons import draw_world, live, wrongs
from tests.wall_clock import draw_hours

_PARCELS = 12


def test_no_life_of_parcels_breaks_consent_caps_or_quiet_hours() -> None:
    """`make test-properties` decides 1,000,000 times; each call here about other persons."""
    decisions = int(os.environ.get("SCHEDULES", "3000"))
    seed = random.SystemRandom().randrange(2**32)
    dice = random.Random(seed)
    hours = [draw_hours(dice) for _ in range(50)]
    seen: Counter[str] = Counter()
    for _ in range(decisions // _PARCELS):
        world = draw_world(dice, dice.choice(hours))
        life = list(live(dice, world, _PARCELS))
        assert wrongs(world, life) == [], f"seed {seed}"
        seen.update("asked" if isinstance(d.decision, Ask) else d.decision.reason for d in life)
    # Each rule had something to forbid, and nothing else forbade.
    assert set(seen) == {
        "asked",
        "opted_out",
        "objected",
        "consent_missing",
        "wished_less_often",
        "carrier_budget_spent",
        "merchant_budget_spent",
    }, f"seed {seed}"
