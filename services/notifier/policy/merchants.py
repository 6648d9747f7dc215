"""What was agreed with the shop, and one request for each order and each drop (S2 35 to 37, E2, E10)."""

from services.notifier.policy.draws import draw
from services.notifier.policy.sections import MerchantAsk, MerchantRule
from services.notifier.policy.shapes import Match, Situation


def merchant_denied(s: Situation) -> Match | None:
    """The shop does not want its customers to be asked."""
    if _rule(s).ask is not MerchantAsk.DENY:
        return None
    return Match("merchant_denied", {"merchant": s.delivery.delivery.merchant_id or "none"})


def merchants_turn(s: Situation) -> Match | None:
    """The shop asks about this order: orders are shared out by a draw, so that nobody is asked twice (E2)."""
    rule = _rule(s)
    if rule.ask is not MerchantAsk.MERCHANT_FIRST or draw(s.rules.sampling_key, f"turn {_order(s)}") >= (
        rule.merchant_share
    ):
        return None
    return Match("merchants_turn", {"share": f"{rule.merchant_share:g}"})


def held_out(s: Situation) -> Match | None:
    """Left alone by a draw, to see what our asking does to the shop's own reviews (S2 37)."""
    share = _rule(s).hold_out
    if share == 0 or draw(s.rules.sampling_key, f"hold-out {_order(s)}") >= share:
        return None
    return Match("held_out", {"share": f"{share:g}"})


def order_already_asked(s: Situation) -> Match | None:
    """Another parcel of the order was asked about (E2)."""
    return Match("order_already_asked") if s.history.order_asked else None


def drop_already_asked(s: Situation) -> Match | None:
    """Several parcels at one stop are one experience (E10)."""
    return Match("drop_already_asked") if s.history.drop_asked else None


def co_brand(s: Situation) -> str | None:
    """The shop's name, where the message names it."""
    return s.delivery.delivery.merchant_name if _rule(s).ask is MerchantAsk.CO_BRAND else None


def _rule(s: Situation) -> MerchantRule:
    return s.rules.policies.merchants.of(s.delivery.delivery.merchant_id)


def _order(s: Situation) -> str:
    facts = s.delivery.delivery
    return f"{facts.merchant_id} {facts.order_id or facts.delivery_id}"
