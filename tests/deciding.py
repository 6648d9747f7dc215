"""What tests of the policy share: situations at a known moment, and what is decided in them."""

from datetime import timedelta
from typing import Any

from schemas.delivery import ChannelKind, DeliveryCompleted
from services.notifier.policy import Ask, Contacted, History, Policies, Rules, Situation, Suppress, decide
from tests.builders import NOON, delivery

KEY = bytes(range(16))
NOW = NOON + timedelta(hours=1)


def situation(
    message: DeliveryCompleted | None = None, policies: dict[str, Any] | None = None, **history: Any
) -> Situation:
    rules = Rules(
        timedelta(hours=72),
        timedelta(0),
        frozenset({ChannelKind.EMAIL, ChannelKind.SMS}),
        Policies.model_validate(policies or {}),
        KEY,
    )
    return Situation(message or delivery(), NOON, History(**history), rules, NOW)


def outcome(s: Situation) -> tuple[str, dict[str, object]]:
    """The reason and its evidence, or "asked" and that of asking."""
    decision = decide(s)
    return (decision.reason if isinstance(decision, Suppress) else "asked"), dict(decision.evidence)


def asked(s: Situation) -> Ask:
    decision = decide(s)
    assert isinstance(decision, Ask), decision
    return decision


def merchants(**rule: object) -> dict[str, Any]:
    return {"merchants": {"merchant": {"fjallbod": rule}}}


def contacts(*days_ago: float, merchant: str | None = "fjallbod") -> tuple[Contacted, ...]:
    return tuple(Contacted(NOW - timedelta(days=d), ChannelKind.EMAIL, merchant) for d in days_ago)
