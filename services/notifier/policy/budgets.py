"""How often a person is asked: their own wish, and two budgets of ours (C2, E21). Reminders count too."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from services.notifier.policy.sections import Budget
from services.notifier.policy.shapes import Match, Situation

_YEAR = 365


def wished_less_often(s: Situation) -> Match | None:
    """The person's own "at most so often a year"."""
    most = s.history.preference.most_per_year
    if most is None:
        return None
    return _spent("wished_less_often", Budget.model_construct(most=most, days=_YEAR), _moments(s), s.now)


def carrier_budget_spent(s: Situation) -> Match | None:
    """All our requests to the person."""
    budget = s.rules.policies.contact.carrier
    return None if budget is None else _spent("carrier_budget_spent", budget, _moments(s), s.now)


def merchant_budget_spent(s: Situation) -> Match | None:
    """Requests to the person about parcels of this merchant."""
    budget, merchant = s.rules.policies.contact.merchant, s.delivery.delivery.merchant_id
    if budget is None or merchant is None:
        return None
    moments = [c.at for c in s.history.contacts if c.merchant_id == merchant]
    return _spent("merchant_budget_spent", budget, moments, s.now)


def _moments(s: Situation) -> list[datetime]:
    return [c.at for c in s.history.contacts]


def _spent(reason: str, budget: Budget, moments: Sequence[datetime], now: datetime) -> Match | None:
    if len(moments) < budget.most:
        return None
    length = timedelta(days=budget.days)
    counted = sorted(at for at in moments if at > now - length)
    if len(counted) < budget.most:
        return None
    # There is room again once all but `most - 1` have left the window.
    free_at = counted[-budget.most] + length if budget.most else None
    return Match(reason, {f"{reason}_most": budget.most, f"{reason}_days": budget.days}, free_at)
