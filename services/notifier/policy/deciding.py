"""The rules in their order, and the decision.

The first rule that matches decides; all that match are recorded, so that a person can read later why nobody asked.
"""

from collections.abc import Callable
from datetime import datetime

from services.notifier import schedule
from services.notifier.policy.addresses import (
    channel_not_wanted,
    no_reachable_channel,
    reachable,
    unreachable,
    unusable_address,
)
from services.notifier.policy.age import in_the_future, too_old
from services.notifier.policy.budgets import carrier_budget_spent, merchant_budget_spent, wished_less_often
from services.notifier.policy.disruptions import disruption_paused, notice_of, paused_until, touching
from services.notifier.policy.languages import chosen_language, language_without_message
from services.notifier.policy.merchants import (
    co_brand,
    drop_already_asked,
    held_out,
    merchant_denied,
    merchants_turn,
    order_already_asked,
)
from services.notifier.policy.permission import consent_missing, erased, objected, opted_out
from services.notifier.policy.sampling import not_sampled, sample_rate
from services.notifier.policy.shapes import Ask, Match, Situation, Suppress
from services.notifier.policy.troubles import cancelled, claim_opened, exception_open, not_delivered, returned

SURVEY = "delivery.v1"

RULES: tuple[Callable[[Situation], Match | None], ...] = (
    opted_out,
    objected,
    erased,
    consent_missing,
    returned,
    cancelled,
    not_delivered,
    claim_opened,
    exception_open,
    merchant_denied,
    merchants_turn,
    held_out,
    order_already_asked,
    drop_already_asked,
    wished_less_often,
    carrier_budget_spent,
    merchant_budget_spent,
    not_sampled,
    disruption_paused,
    in_the_future,
    too_old,
    channel_not_wanted,
    no_reachable_channel,
    unusable_address,
    unreachable,
    language_without_message,
)
"""Every rule; its name is its reason code. docs/deciding.md explains each."""


def decide(situation: Situation) -> Ask | Suppress:
    """Decide about one delivery; nothing outside the argument is looked at."""
    matches = [m for rule in RULES if (m := rule(situation)) is not None]
    if not matches:
        return _ask(situation)
    first = matches[0]
    evidence = {name: fact for match in reversed(matches) for name, fact in match.evidence.items()}
    return Suppress(
        first.reason, tuple(m.reason for m in matches), _versions(situation) | evidence, first.next_eligible_at
    )


def _ask(s: Situation) -> Ask:
    channel, language = reachable(s), chosen_language(s)
    assert channel is not None, "no_reachable_channel, unusable_address and unreachable did not match"
    assert language is not None, "language_without_message did not match"
    evidence = _versions(s)
    if language != s.delivery.pii.language:
        evidence["language_fallback_from"] = s.delivery.pii.language or "none"
    if (rate := sample_rate(s)) < 1:
        evidence["sample_rate"] = f"{rate:g}"
    if (shop := co_brand(s)) is not None:
        evidence["co_brand"] = shop
    notice = None
    if s.history.disruptions:
        touched = touching(s)
        evidence |= {"disruption": touched[0][0].disruption_id, "disruption_policy": touched[0][1]} if touched else {}
        notice = notice_of(touched, language)
    return Ask(channel, _departure(s, evidence), language, SURVEY, evidence, shop, notice)


def _departure(s: Situation, evidence: dict[str, str | int | bool]) -> datetime:
    """When the message may leave first; what it waits for goes with the evidence."""
    earliest = s.now + s.rules.delay
    if s.history.disruptions and (until := paused_until(s)) is not None and until > earliest:
        earliest, evidence["held_by"] = until, "disruption"
    facts = s.delivery.delivery
    found = schedule.departure(s.rules.policies.hours.of(facts.country), facts.zone, facts.country, earliest)
    if found.held_by is not None:
        evidence["held_by"] = found.held_by
    return found.at


def _versions(s: Situation) -> dict[str, str | int | bool]:
    ids = s.rules.policies.ids
    return {"policies": " ".join(ids)[:200]} if ids else {}
