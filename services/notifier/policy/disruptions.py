"""Asking while deliveries are disrupted: pause, other words, or ask and report apart (E9, S1 31)."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from schemas.delivery import DeliveryFacts
from schemas.disruption import Area, DeliveryDisruption, DisruptionState, SurveyPolicy
from services.notifier.policy.sections import Disruptions
from services.notifier.policy.shapes import Match, Situation

_STRICTER = (SurveyPolicy.PAUSE, SurveyPolicy.REWORD, SurveyPolicy.TAG)
_LIVE = (DisruptionState.PLANNED, DisruptionState.ACTIVE)
Touched = Sequence[tuple[DeliveryDisruption, SurveyPolicy]]
"""Disruptions that touch a delivery, each with what to do, the strictest first."""


class Disrupted(NamedTuple):
    """What disruptions mean for a request that is about to leave.

    Attributes:
        disruption: the one that the delivery is marked with.
        paused: asking is paused, for too long or nobody knows how long.
        until: the end of the pause, where it is waited for.
        notice: a sentence about it in the message's language, where the message must say one; empty: it says it in
            words of its own.
    """

    disruption: str
    paused: bool
    until: datetime | None
    notice: str | None


def disruption_paused(s: Situation) -> Match | None:
    """Asking is paused, and too long for a request to be fresh afterwards; else it waits for the end."""
    if not s.history.disruptions or _pausing(s) is None or paused_until(s) is not None:
        return None
    disruption = _pausing(s)
    assert disruption is not None
    return Match("disruption_paused", {"disruption": disruption.disruption_id}, disruption.ends_at)


def paused_until(s: Situation) -> datetime | None:
    """The end of the last pause, where it is known and a request would still be fresh then."""
    return _end(_pauses(touching(s)), s.delivery.delivery, s.rules.max_age)


def touching(s: Situation) -> Touched:
    """The disruptions that touch the delivery."""
    return _touching(s.history.disruptions, s.delivery.delivery, s.rules.policies.disruptions)


def notice_of(touched: Touched, language: str) -> str | None:
    """What a message in a language must say of them; empty: words of its own; None: nothing."""
    reworded = [d for d, policy in touched if policy is SurveyPolicy.REWORD]
    return next((d.text[language] for d in reworded if language in d.text), "" if reworded else None)


def before_leaving(
    disruptions: Iterable[DeliveryDisruption],
    facts: DeliveryFacts,
    language: str,
    policies: Disruptions,
    max_age: timedelta,
    now: datetime,
) -> Disrupted | None:
    """What became known of disruptions since a request was decided about; None: none touches the delivery.

    A pause that is over holds nothing up.
    """
    touched = _touching(disruptions, facts, policies)
    if not touched:
        return None
    pauses = [d for d in _pauses(touched) if d.ends_at is None or d.ends_at > now]
    until = _end(pauses, facts, max_age)
    return Disrupted(touched[0][0].disruption_id, bool(pauses) and until is None, until, notice_of(touched, language))


def marked(s: Situation) -> DeliveryFacts:
    """The delivery's facts with the disruption that it fell in, so that its answer can be reported apart (E9)."""
    facts = s.delivery.delivery
    touched = touching(s) if s.history.disruptions else []
    return facts.model_copy(update={"disruption": touched[0][0].disruption_id}) if touched else facts


def touches(disruption: DeliveryDisruption, facts: DeliveryFacts) -> bool:
    """Whether a delivery happened in the area and time of a disruption."""
    if disruption.state not in _LIVE or facts.occurred_at < disruption.starts_at:
        return False
    if disruption.ends_at is not None and facts.occurred_at >= disruption.ends_at:
        return False
    return any(_lies_in(facts, area) for area in disruption.areas)


def _lies_in(facts: DeliveryFacts, area: Area) -> bool:
    postcode = facts.postcode_prefix or ""
    return (
        facts.country == area.country
        and (not area.terminals or facts.terminal in area.terminals)
        and (not area.routes or facts.route in area.routes)
        and (not area.postcode_prefixes or any(postcode.startswith(p) for p in area.postcode_prefixes))
    )


def _touching(disruptions: Iterable[DeliveryDisruption], facts: DeliveryFacts, policies: Disruptions) -> Touched:
    found = [(d, _stricter(d.policy, policies.of(d.kind))) for d in disruptions if touches(d, facts)]
    return sorted(found, key=lambda pair: (_STRICTER.index(pair[1]), pair[0].disruption_id))


def _pausing(s: Situation) -> DeliveryDisruption | None:
    return next(iter(_pauses(touching(s))), None)


def _pauses(touched: Touched) -> list[DeliveryDisruption]:
    return [d for d, policy in touched if policy is SurveyPolicy.PAUSE]


def _end(pauses: Sequence[DeliveryDisruption], facts: DeliveryFacts, max_age: timedelta) -> datetime | None:
    """The last end of all, where all are known and a request would still be fresh then."""
    ends = [d.ends_at for d in pauses if d.ends_at is not None]
    if not ends or len(ends) < len(pauses):
        return None
    last = max(ends)
    return last if last - facts.occurred_at <= max_age else None


def _stricter(one: SurveyPolicy, other: SurveyPolicy) -> SurveyPolicy:
    return min(one, other, key=_STRICTER.index)
