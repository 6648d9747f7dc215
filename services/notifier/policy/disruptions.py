"""Asking while deliveries are disrupted: pause, other words, or ask and report apart (E9, S1 31)."""

from datetime import datetime

from schemas.delivery import DeliveryFacts
from schemas.disruption import Area, DeliveryDisruption, DisruptionState, SurveyPolicy
from services.notifier.policy.shapes import Match, Situation

_STRICTER = (SurveyPolicy.PAUSE, SurveyPolicy.REWORD, SurveyPolicy.TAG)
_LIVE = (DisruptionState.PLANNED, DisruptionState.ACTIVE)


def disruption_paused(s: Situation) -> Match | None:
    """Asking is paused, and too long for a request to be fresh afterwards; else it waits for the end."""
    if not s.history.disruptions or _pausing(s) is None or paused_until(s) is not None:
        return None
    disruption = _pausing(s)
    assert disruption is not None
    return Match("disruption_paused", {"disruption": disruption.disruption_id}, disruption.ends_at)


def paused_until(s: Situation) -> datetime | None:
    """The end of the last pause, where it is known and a request would still be fresh then."""
    pauses = [d.ends_at for d, policy in touching(s) if policy is SurveyPolicy.PAUSE]
    ends = [at for at in pauses if at is not None]
    if not ends or len(ends) < len(pauses):
        return None
    last = max(ends)
    return last if last - s.delivery.delivery.occurred_at <= s.rules.max_age else None


def touching(s: Situation) -> list[tuple[DeliveryDisruption, SurveyPolicy]]:
    """The disruptions that touch the delivery, each with what to do, the strictest first."""
    facts, policies = s.delivery.delivery, s.rules.policies.disruptions
    found = [(d, _stricter(d.policy, policies.of(d.kind))) for d in s.history.disruptions if touches(d, facts)]
    return sorted(found, key=lambda pair: (_STRICTER.index(pair[1]), pair[0].disruption_id))


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


def _pausing(s: Situation) -> DeliveryDisruption | None:
    return next((d for d, policy in touching(s) if policy is SurveyPolicy.PAUSE), None)


def _stricter(one: SurveyPolicy, other: SurveyPolicy) -> SurveyPolicy:
    return min(one, other, key=_STRICTER.index)
