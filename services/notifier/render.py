"""From an invitation to the words that reach the recipient. Pure; catalogues and the mail's frame are read once."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from schemas.delivery import ChannelKind
from services.chassis.catalogues import read_catalogue
from services.chassis.segments import in_gsm7, segments
from services.notifier.channels import Message
from services.notifier.phrasing import Invitation, Phrases, Sender, phrases, without_links
from services.notifier.policy import LANGUAGES

__all__ = ["FRAME", "LOCALES", "Invitation", "Renderer", "Sender"]
LOCALES = Path(__file__).parent / "locales"
FRAME = Path(__file__).parent / "mail" / "invitation.html"
"""The mail's HTML, compiled from `invitation.mjml` by `make mail`."""
_SCORES = (1, 2, 3, 4, 5)


class Renderer:
    """Renders messages in every language that has a catalogue."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._words = {language: read_catalogue(LOCALES, language, "messages") for language in LANGUAGES}
        environment = Environment(autoescape=True, undefined=StrictUndefined)
        self._frame = environment.from_string(FRAME.read_text(encoding="utf-8"))

    def render(self, invitation: Invitation) -> Message:
        """The message: one link and no other, who and what is rated, and a human route.

        Text messages and mails hold the link; a push and a message in the app lead to it when they are tapped.
        """
        words = self._words[invitation.language]
        link = f"{self._sender.public_url.rstrip('/')}/r/{invitation.token}"
        said = phrases(words, self._sender.brand, invitation, without_links(invitation.merchant_name or "") or None)
        html = None
        match invitation.kind:
            case ChannelKind.EMAIL:
                lines = self._lines(words)
                text = _mail_text(words, said, lines, link)
                html = self._frame.render(
                    language=invitation.language,
                    said=said,
                    lines=lines,
                    words=words,
                    link=link,
                    faces=[(score, words[f"face.{score}"]) for score in _SCORES],
                )
            case ChannelKind.SMS:
                text = self._short(words, invitation, said, link)
            case _:
                help_line = words["help"].format(phone=self._sender.phone)
                text = f"{said.asker}: {said.told} {said.rated} {help_line}"
        return Message(
            invitation.reference,
            invitation.fence,
            invitation.kind,
            invitation.address,
            invitation.language,
            said.subject,
            text,
            html,
            link,
            unsubscribe=f"{link}/unsubscribe" if invitation.kind is ChannelKind.EMAIL else None,
            asker=said.asker,
            told=f"{said.told} {said.ask}",
        )

    def template(self, invitation: Invitation) -> Message:
        """The message as WhatsApp shows it: the words that Meta approves once, filled, above a button with the link."""
        words, message = self._words[invitation.language], self.render(invitation)
        text = words["template"].format(sender=message.asker, told=message.told, phone=self._sender.phone)
        return replace(message, subject=words["answer.button"], text=text)

    def _short(self, words: Mapping[str, str], invitation: Invitation, said: Phrases, link: str) -> str:
        """One part if that can be had by leaving the shop's name out; a shop that asks too keeps its own."""
        brand, shop = self._sender.brand, without_links(invitation.merchant_name or "")
        spelled = None if invitation.co_brand else _spelled(shop)
        asker = said.asker if not invitation.co_brand or _spelled(invitation.co_brand) else brand
        rest = f"{link} {words['help'].format(phone=self._sender.phone)}"

        def text(phrased: Phrases) -> str:
            return in_gsm7(f"{asker}: {phrased.told} {phrased.ask} {rest}")

        named = text(said if spelled == (shop or None) else phrases(words, brand, invitation, spelled))
        if segments(named) == 1 or spelled is None:
            return named
        plain = text(phrases(words, brand, invitation, None))
        return plain if segments(plain) == 1 else named

    def _lines(self, words: Mapping[str, str]) -> list[str]:
        """What a mail says after the answer."""
        return [words["human"].format(phone=self._sender.phone, email=self._sender.email), words["safety"]]


def _mail_text(words: Mapping[str, str], said: Phrases, lines: list[str], link: str) -> str:
    told = [said.asker, said.subject, f"{said.fact} {said.notice}".rstrip(), said.rated]
    return "\n\n".join([*told, f"{words['answer']}: {link}", *lines])


def _spelled(name: str) -> str | None:
    """A name in the letters of GSM 03.38; None where it would be gaps only, as in another script."""
    spelled = in_gsm7(name)
    return spelled if spelled and len(spelled) * 2 > len(name) else None
