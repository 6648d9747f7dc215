"""Messages as they would arrive, made with invented deliveries: for the preview command, the demo's page and tests."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from schemas.delivery import ChannelKind
from services.chassis.segments import segments
from services.notifier.channels import Message
from services.notifier.phrasing import OCCASIONS
from services.notifier.policy import LANGUAGES
from services.notifier.render import Invitation, Renderer

CHANNELS = (*(kind.value for kind in ChannelKind), "whatsapp")
"""What a message may be previewed for; WhatsApp reaches phone numbers with words of an approved template."""
SHOP = "Fjällbod"
_TOKEN = "0" * 22
_AT = datetime(2026, 10, 13, 12, 0, tzinfo=UTC)
_ZONES = {"fi": "Europe/Helsinki", "en": "Europe/London"}


@dataclass(frozen=True, slots=True)
class Choice:
    """Which messages to show; empty: all of that kind.

    Attributes:
        merchant: the shop's name; empty: the parcel is nobody's in particular.
        co_brand: the shop asks beside the carrier.
        notice: what is said of a disruption; None: there was none; empty: the standard words.
    """

    occasions: tuple[str, ...] = OCCASIONS
    channels: tuple[str, ...] = CHANNELS
    languages: tuple[str, ...] = LANGUAGES
    reminder: bool = False
    merchant: str = SHOP
    co_brand: bool = False
    notice: str | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """One message, with what a person wants to know about it."""

    occasion: str
    channel: str
    language: str
    message: Message

    @property
    def parts(self) -> int:
        """How many parts a text message is paid as; 0 for others."""
        return segments(self.message.text) if self.channel == ChannelKind.SMS else 0


def samples(renderer: Renderer, choice: Choice) -> Iterator[Sample]:
    """The chosen messages, by language, occasion and channel."""
    for language in choice.languages:
        for occasion in choice.occasions:
            for channel in choice.channels:
                yield Sample(occasion, channel, language, _message(renderer, choice, occasion, channel, language))


def as_text(sample: Sample) -> str:
    """A sample as a person reads it on a terminal."""
    message, parts = sample.message, sample.parts
    paid = f", {len(message.text)} characters, {parts} part{'s' * (parts > 1)}" if parts else ""
    lines = [f"[{sample.language}, {sample.occasion}, {sample.channel}{paid}]"]
    if sample.channel in {ChannelKind.EMAIL, ChannelKind.PUSH, ChannelKind.APP}:
        lines.append(f"Subject: {message.subject}")
    lines.append(message.text)
    if sample.channel == "whatsapp":
        lines.append(f"[{message.subject}]")
    if message.link not in message.text:
        lines.append(f"Leads to: {message.link}")
    return "\n".join(lines) + "\n"


def _message(renderer: Renderer, choice: Choice, occasion: str, channel: str, language: str) -> Message:
    invitation = Invitation(
        reference="preview",
        fence=0,
        kind=ChannelKind.SMS if channel == "whatsapp" else ChannelKind(channel),
        address="preview",
        token=_TOKEN,
        language=language,
        merchant_name=choice.merchant or None,
        occurred_at=_AT,
        zone=_ZONES.get(language, "Europe/Stockholm"),
        occasion=occasion,
        co_brand=(choice.merchant or None) if choice.co_brand else None,
        notice=choice.notice,
        reminder=choice.reminder,
    )
    return renderer.template(invitation) if channel == "whatsapp" else renderer.render(invitation)
