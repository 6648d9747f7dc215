"""The message that tells a person what came of a case, and how handing it over went. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, Protocol

from services.chassis.catalogues import Catalogue, read_plural_catalogue
from services.survey.languages import LANGUAGES, choose_language

_LOCALES: Final = Path(__file__).parent / "locales"


def ways_out(channel: str, text_url: str) -> str:
    """What the box beside words to a person says that it does with them; empty: they cannot leave, and there is none.

    Args:
        channel: KVITTERA_CHANNEL.
        text_url: KVITTERA_OUTCOME_TEXT_URL; the local outbox reaches nobody, and no gateway either.
    """
    if channel == "outbox":
        return "Put these words into the local outbox, where nothing is sent"
    ways = [*(["by e-mail"] if channel == "smtp" else []), *(["by text message"] if text_url else [])]
    return f"Send these words to the person {' or '.join(ways)}" if ways else ""


@dataclass(frozen=True, slots=True)
class OutcomeMessage:
    """A message ready to be handed over.

    Attributes:
        reference: the message's id; the same at every attempt.
        text: staff's words, with why the message came.
    """

    reference: str
    address: str
    language: str
    subject: str
    text: str


class Fate(StrEnum):
    """How a hand-over went. Only what was refused for now may be tried again (guarantee 4)."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    REFUSED_FOR_NOW = "refused_for_now"
    IN_DOUBT = "in_doubt"
    WITHHELD = "withheld"


@dataclass(frozen=True, slots=True)
class Result:
    """A fate, with a reason of ours where it was not accepted; never personal data."""

    fate: Fate
    reason: str | None = None


class OutcomeSender(Protocol):
    """A way out for such messages."""

    async def send(self, message: OutcomeMessage) -> Result:
        """Hand the message over. What the other side does is a `Result`, never an exception."""
        ...


@dataclass(frozen=True, slots=True)
class Writer:
    """Puts staff's words into a message in the person's language; the words themselves are never translated."""

    carrier: str
    phone: str
    catalogues: Mapping[str, Catalogue]

    @classmethod
    def load(cls, carrier: str, phone: str) -> "Writer":
        """Read every language."""
        return cls(carrier, phone, {code: read_plural_catalogue(_LOCALES, code, "outcome") for code in LANGUAGES})

    def write(self, reference: str, address: str, language: str | None, number: str, words: str) -> OutcomeMessage:
        """The e-mail about a case."""
        chosen = choose_language(language).language
        texts = self.catalogues[chosen].texts
        why = texts["why"].format(carrier=self.carrier, phone=self.phone)
        return OutcomeMessage(
            reference, address, chosen, texts["subject"].format(number=number), f"{words}\n\n{self.carrier}\n{why}\n"
        )

    def write_short(self, reference: str, number: str, language: str | None, words: str) -> OutcomeMessage:
        """The text message to a phone number; it has no subject, and does not ask for a reply."""
        chosen = choose_language(language).language
        why = self.catalogues[chosen].texts["why.text"].format(carrier=self.carrier, phone=self.phone)
        return OutcomeMessage(reference, number, chosen, "", f"{self.carrier}: {words}\n{why}")
