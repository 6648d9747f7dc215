"""Deliveries that went wrong, or were none."""

from schemas.delivery import Correction
from services.notifier.policy.shapes import Match, Situation


def returned(s: Situation) -> Match | None:
    """Upstream has said already that the parcel went back (H61a)."""
    return _corrected(s, Correction.RETURNED)


def cancelled(s: Situation) -> Match | None:
    """Upstream has said already that the delivery was none."""
    return _corrected(s, Correction.CANCELLED)


def not_delivered(s: Situation) -> Match | None:
    """Upstream has said already that the parcel did not come."""
    return _corrected(s, Correction.NOT_DELIVERED)


def claim_opened(s: Situation) -> Match | None:
    """Upstream has said already that there is a claim."""
    return _corrected(s, Correction.CLAIM_OPENED)


def exception_open(s: Situation) -> Match | None:
    """Damage, a claim or a customs hold: "how was your delivery" would hurt (S0 18, S3 41)."""
    exceptions = s.delivery.delivery.exceptions
    if not exceptions:
        return None
    ask_about = s.rules.policies.exceptions.ask_about
    if all(e in ask_about for e in exceptions):
        return None
    return Match("exception_open", {"exceptions": ",".join(exceptions)})


def _corrected(s: Situation, what: Correction) -> Match | None:
    return Match(what.value) if s.history.correction is what else None
