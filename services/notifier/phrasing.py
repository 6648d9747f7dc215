"""Which sentences an invitation gets: by what happened, and by what the policies want said. Pure."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from babel.dates import format_datetime, format_skeleton

from schemas.delivery import ChannelKind, DeliveryException, Touchpoint

OCCASIONS = (*(touchpoint.value for touchpoint in Touchpoint), DeliveryException.DAMAGED.value)
"""What a message may be about: each touchpoint, and a parcel that came damaged."""
_CLDR = {"sv": "sv_SE", "nb": "nb_NO", "nn": "nn_NO", "da": "da_DK", "fi": "fi_FI", "en": "en_GB", "de": "de_DE"}
_CLOCK = dict.fromkeys(("da", "fi"), "HH.mm")
"""How a language writes the time of day, where it is not 17:42."""
_RETURN, _OWN_RATED = Touchpoint.RETURN.value, frozenset({"return", "enquiry", "damaged"})
_LINK_START = re.compile(r"\w*://|www\.", re.IGNORECASE)
_ENDS = (".", "?", ":", "…")


@dataclass(frozen=True, slots=True)
class Sender:
    """Who asks, and how a person reaches a person (S3 42)."""

    brand: str
    phone: str
    email: str
    public_url: str


@dataclass(frozen=True, slots=True)
class Invitation:
    """What a message is about.

    Attributes:
        occasion: one of `OCCASIONS`; any other is worded as a delivery to the home.
        co_brand: the shop's name, where the message names it beside the carrier's.
        notice: a sentence about a disruption that the message must say; empty: the standard one.
        reminder: whether the person was asked before.
    """

    reference: str
    fence: int
    kind: ChannelKind
    address: str
    token: str
    language: str
    merchant_name: str | None
    occurred_at: datetime
    zone: str
    occasion: str = Touchpoint.HOME.value
    co_brand: str | None = None
    notice: str | None = None
    reminder: bool = False


class Phrases(NamedTuple):
    """The sentences of one message.

    Attributes:
        asker: the carrier, and the shop beside it where the policy says so.
        fact: what happened and when; with `reminder` before it in who was asked before.
        notice: about a disruption, or empty.
        ask: the question in a few words.
    """

    asker: str
    reminder: str
    fact: str
    notice: str
    ask: str
    subject: str
    rated: str

    @property
    def told(self) -> str:
        """What happened, in one line."""
        return " ".join(part for part in (self.reminder and f"{self.reminder}.", self.fact, self.notice) if part)


def occasion_of(touchpoint: str, exceptions: Collection[str]) -> str:
    """What a message about such a delivery is about; the survey chooses its questions the same way."""
    if DeliveryException.DAMAGED.value in exceptions:
        return DeliveryException.DAMAGED.value
    return touchpoint if touchpoint in OCCASIONS else Touchpoint.HOME.value


def phrases(words: Mapping[str, str], brand: str, invitation: Invitation, shop: str | None) -> Phrases:
    """The sentences, in which the parcel is `shop`'s; None: the recipient's."""
    i, co_brand = invitation, without_links(invitation.co_brand or "")
    occasion = i.occasion if i.occasion in OCCASIONS else Touchpoint.HOME.value
    question = words[f"question.{occasion}"]
    fact = words[f"fact.{occasion}"].format(what=_what(words, occasion, shop), when=_when(words, i))
    return Phrases(
        asker=words["co_brand"].format(brand=brand, shop=co_brand) if co_brand else brand,
        reminder=words["reminder"] if i.reminder else "",
        fact=fact,
        notice=_notice(words, i.notice),
        ask=words["ask.damaged" if occasion == DeliveryException.DAMAGED else "ask"],
        subject=f"{words['reminder']}: {question}" if i.reminder else question,
        rated=_rated(words, occasion, brand, shop),
    )


def without_links(text: str) -> str:
    """A text of others without what would make a second link of it."""
    while (shorter := _LINK_START.sub("", text)) != text:  # what is left may be the start of another
        text = shorter
    return text


def _what(words: Mapping[str, str], occasion: str, shop: str | None) -> str:
    key = "return" if occasion == _RETURN else "parcel"
    return words[key].format(shop=shop) if shop else words[f"{key}.plain"]


def _rated(words: Mapping[str, str], occasion: str, brand: str, shop: str | None) -> str:
    if occasion in _OWN_RATED:
        return words[f"rated.{occasion}"].format(brand=brand)
    return words["rated.carrier" if shop else "rated.carrier.plain"].format(brand=brand, shop=shop)


def _notice(words: Mapping[str, str], notice: str | None) -> str:
    if notice is None:
        return ""
    told = without_links(notice).strip() or words["disruption"]
    return told if told.endswith(_ENDS) else f"{told}."


def _when(words: Mapping[str, str], i: Invitation) -> str:
    """A weekday is unmistakable for a few days; a reminder comes later and tells the date."""
    minute = i.occurred_at.replace(second=0, microsecond=0)
    if i.reminder:
        return words["date"].format(date=_date(minute, i.zone, i.language))
    return _weekday(minute, i.zone, i.language)


@lru_cache(maxsize=4096)  # many deliveries share a minute, and spelling one takes longer than all else
def _weekday(at: datetime, zone: str, language: str) -> str:
    pattern = f"EEEE {_CLOCK.get(language, 'HH:mm')}"
    return format_datetime(at.astimezone(ZoneInfo(zone)), pattern, locale=_CLDR[language])


@lru_cache(maxsize=4096)
def _date(at: datetime, zone: str, language: str) -> str:
    return format_skeleton("MMMMd", at.astimezone(ZoneInfo(zone)), locale=_CLDR[language])
