"""Old news, and news from the future."""

from datetime import timedelta
from typing import Final

from services.notifier.policy.shapes import Match, Situation

CLOCKS_MAY_DIFFER: Final = timedelta(minutes=5)
"""How far ahead of our clocks an event may be dated."""


def too_old(s: Situation) -> Match | None:
    """Replays and back-fills send nothing: the age counts from the event and from its arrival."""
    oldest = min(s.delivery.delivery.occurred_at, s.appended_at)
    age = s.now - oldest
    return Match("too_old", {"age_hours": int(age.total_seconds() // 3600)}) if age > s.rules.max_age else None


def in_the_future(s: Situation) -> Match | None:
    """What the broker's clock let pass (`arriving.py`), as where a topic keeps the time that its producers tell."""
    ahead = s.delivery.delivery.occurred_at - s.now
    return Match("in_the_future", {"seconds": int(ahead.total_seconds())}) if ahead > CLOCKS_MAY_DIFFER else None
