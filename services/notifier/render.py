"""From an invitation to the words that reach the recipient. Pure; catalogues are read once."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from html import escape
from pathlib import Path
from zoneinfo import ZoneInfo

from babel.dates import format_datetime

from schemas.delivery import ChannelKind
from services.chassis.catalogues import read_catalogue
from services.notifier.channels import Message
from services.notifier.channels.segments import in_gsm7
from services.notifier.policy import LANGUAGES

_LOCALES = Path(__file__).parent / "locales"
_CLDR = {"sv": "sv_SE", "nb": "nb_NO", "nn": "nn_NO", "da": "da_DK", "fi": "fi_FI", "en": "en_GB", "de": "de_DE"}
_HOURS = dict.fromkeys(("da", "fi"), "HH.mm")
"""How a language writes the time of day, where it is not 17:42."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Who asks, and how a person reaches a person (S3 42)."""

    brand: str
    phone: str
    email: str
    public_url: str


@dataclass(frozen=True, slots=True)
class Invitation:
    """What a message is about."""

    reference: str
    fence: int
    kind: ChannelKind
    address: str
    token: str
    language: str
    merchant_name: str | None
    occurred_at: datetime
    zone: str


class Renderer:
    """Renders messages in every language that has a catalogue."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._words = {language: read_catalogue(_LOCALES, language, "messages") for language in LANGUAGES}

    def render(self, invitation: Invitation) -> Message:
        """The message: exactly one link, who and what is rated, and a human route."""
        words = self._words[invitation.language]
        link = f"{self._sender.public_url.rstrip('/')}/r/{invitation.token}"
        when = format_datetime(
            invitation.occurred_at.astimezone(ZoneInfo(invitation.zone)),
            f"EEEE {_HOURS.get(invitation.language, 'HH:mm')}",
            locale=_CLDR[invitation.language],
        )
        shop = invitation.merchant_name
        what = words["what.shop"].format(shop=shop) if shop else words["what.plain"]
        subject = words["email.subject"]
        if invitation.kind is ChannelKind.EMAIL:
            text, html = self._email(words, what, when, shop, link)
        else:
            text, html = self._short(words, shop, when, link), None
        return Message(
            invitation.reference,
            invitation.fence,
            invitation.kind,
            invitation.address,
            invitation.language,
            subject,
            text,
            html,
            link,
        )

    def _short(self, words: Mapping[str, str], shop: str | None, when: str, link: str) -> str:
        spelled = in_gsm7(shop or "")
        # A shop in another script would be gaps only: then the plain words say more.
        what = words["what.shop"].format(shop=spelled) if spelled and shop and len(spelled) * 2 > len(shop) else None
        return in_gsm7(
            words["sms"].format(
                brand=self._sender.brand,
                what=what or words["what.plain"],
                when=when,
                link=link,
                phone=self._sender.phone,
            )
        )

    def _email(self, words: Mapping[str, str], what: str, when: str, shop: str | None, link: str) -> tuple[str, str]:
        s = self._sender
        delivered = words["email.delivered"].format(what=what, when=when)
        rated = words["email.rated.shop" if shop else "email.rated"].format(brand=s.brand, shop=shop)
        human = words["email.human"].format(phone=s.phone, email=s.email)
        text = "\n\n".join(
            [
                words["email.subject"],
                delivered,
                rated,
                f"{words['email.answer']}: {link}",
                human,
                words["email.safety"],
            ]
        )
        faces = "".join(
            f'<a href="{escape(link)}?s={n}" style="display:inline-block;min-width:44px;padding:12px 8px;'
            f'color:#0E5F87">{escape(words[f"face.{n}"])}</a> '
            for n in range(1, 6)
        )
        html = (
            f'<!doctype html><html><body style="font:16px/24px system-ui,sans-serif;color:#13212B">'
            f'<h1 style="font-size:24px">{escape(words["email.subject"])}</h1>'
            f"<p>{escape(delivered)}</p><p>{escape(rated)}</p><p>{faces}</p>"
            f"<p>{escape(human)}</p><p>{escape(words['email.safety'])}</p></body></html>"
        )
        return text, html
