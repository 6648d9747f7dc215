"""Whether the person may be asked at all: what they said themselves, and what the law asks for."""

from schemas.delivery import ConsentBasis
from services.notifier.policy.shapes import Match, Situation


def opted_out(s: Situation) -> Match | None:
    """The person said "never", to whichever sender or merchant: it holds for all of them (C25)."""
    return Match("opted_out") if s.history.preference.never else None


def objected(s: Situation) -> Match | None:
    """The person declined beforehand; no other evidence outweighs it (D13)."""
    said = any(c.basis is ConsentBasis.OBJECTION for c in s.delivery.pii.consent)
    return Match("objected") if said else None


def erased(s: Situation) -> Match | None:
    """A delivery from before the recipient's erasure stays unasked; one after it is a new relation (D21)."""
    at = s.history.erased_at
    return Match("erased") if at is not None and s.delivery.delivery.occurred_at <= at else None


def consent_missing(s: Situation) -> Match | None:
    """The country's law wants something shown that the sender does not show (D13)."""
    rule = s.rules.policies.countries.of(s.delivery.delivery.country)
    if not rule.needs:
        return None
    shown = [c.basis for c in s.delivery.pii.consent]
    if any(basis in rule.needs for basis in shown):
        return None
    told = {
        "country": s.delivery.delivery.country,
        "needs": ",".join(rule.needs),
        "shown": ",".join(shown) or "nothing",
    }
    return Match("consent_missing", {name: text[:200] for name, text in told.items()})
