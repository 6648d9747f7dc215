"""Which words a delivery, a survey and a score get: who is rated, what it was, what the chips say. Pure."""

from collections.abc import Iterable
from typing import Final

from markupsafe import Markup

from schemas.response import RatedParty
from services.survey.definitions import Definition, Occasion
from services.survey.recipient.page_models import RecipientPage
from services.survey.recipient.wording import Wording

ENDS: Final = {
    "courtesy": "good",
    "time_kept": "full",
    "expectation": "full",
    "ease": "easy",
    "contactability": "easy",
    "recommend": "likely",
    "satisfaction": "satisfied",
    "expectancy": "full",
    "ideal": "near",
}
"""What stands at the two ends of a follow-up question's steps."""
_WITHOUT_DELIVERY: Final = frozenset({Occasion.RETURN, Occasion.ENQUIRY})
_OWN_RATED: Final = frozenset({Occasion.RETURN, Occasion.ENQUIRY, Occasion.DAMAGED})
_METHODS: Final = frozenset(
    {
        "service_point",
        "parcel_locker",
        "home_day",
        "home_evening",
        "same_day",
        "home_box",
        "workplace",
        "neighbour",
    }
)
_AT_A_PLACE: Final = frozenset({"service_point", "parcel_locker"})
_CHIPS: Final = {
    (Occasion.SHOP_PICKUP, "right_place"): "place",
    (Occasion.LOCKER, "right_place"): "place",
    (Occasion.RETURN, "right_place"): "place",
    (Occasion.ENQUIRY, "on_time"): "pace",
    (Occasion.RETURN, "information"): "explanation",
    (Occasion.ENQUIRY, "information"): "explanation",
    (Occasion.DAMAGED, "information"): "explanation",
    (Occasion.DAMAGED, "condition"): "damage",
}
"""Chips that say something else at some touchpoints; what is stored stays the same."""
_LOW, _MIDDLE = 2, 3


def parcel_words(words: Wording, page: RecipientPage) -> Markup:
    """The line that heads every page: which parcel this is about."""
    key = "parcel.return" if page.definition.occasion is Occasion.RETURN else "parcel"
    return words(key, shop=page.merchant_name) if page.merchant_name else words(f"{key}.plain")


def method_words(words: Wording, page: RecipientPage, when: str) -> Markup:
    """How and when the parcel came; methods that would tell too much are told without detail."""
    if page.definition.occasion in _WITHOUT_DELIVERY:
        return words(f"method.{page.definition.occasion}", when=when)
    if page.method in _AT_A_PLACE and page.place:
        return words(f"method.{page.method}.named", place=page.place, when=when)
    return words(f"method.{page.method if page.method in _METHODS else 'other'}", when=when)


def rated_words(words: Wording, page: RecipientPage) -> Markup:
    """Who is rated, and who is not (E1)."""
    rated = page.definition.rated
    if rated is RatedParty.SERVICE_POINT:
        return words("rated.service_point", place=page.place or words("place.plain"), carrier=page.carrier)
    if page.definition.occasion in _OWN_RATED:
        return words(f"rated.{page.definition.occasion}", carrier=page.carrier)
    if page.merchant_name:
        return words(f"rated.{rated}", carrier=page.carrier, shop=page.merchant_name)
    return words("rated.carrier.plain", carrier=page.carrier)


def tone(score: int) -> str:
    """Which words the reasons have: what went wrong, what can be better, or what went well."""
    if score <= _LOW:
        return "low"
    return "middle" if score == _MIDDLE else "high"


def reason_words(words: Wording, survey: Definition, score: int, reasons: Iterable[str]) -> dict[str, Markup]:
    """The words of reason chips, by what is stored."""
    keys = {reason: _CHIPS.get((survey.occasion, reason), reason) for reason in reasons}
    return {reason: words(f"reason.{tone(score)}.{key}") for reason, key in keys.items()}
