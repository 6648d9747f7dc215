"""A share of deliveries is asked about, by a draw that is never thrown again (D7)."""

from services.notifier.policy.draws import draw
from services.notifier.policy.shapes import Match, Situation


def not_sampled(s: Situation) -> Match | None:
    """The draw of this delivery lies outside the share."""
    rate = sample_rate(s)
    if rate >= 1 or draw(s.rules.sampling_key, s.delivery.delivery.delivery_id) < rate:
        return None
    return Match("not_sampled", {"sample_rate": f"{rate:g}"})


def sample_rate(s: Situation) -> float:
    """The share that holds for this delivery."""
    facts = s.delivery.delivery
    return s.rules.policies.sampling.of(facts.country, facts.merchant_id)
