"""Channels: one file each, one contract. `send` hands a message over exactly once and says how that went."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from schemas.delivery import ChannelKind


@dataclass(frozen=True, slots=True)
class Message:
    """A rendered request, ready to be handed over.

    Attributes:
        reference: the same at every attempt; providers that know it can be asked about it.
        fence: the sender's lease number; a channel in our own database refuses an older one.
        link: the one link of the message; empty in one that asks for a reply by text message instead.
        unsubscribe: where a mail program unsubscribes with one click, for channels that can say so.
        asker: who asks, as the text names them, for channels whose words stand in a template.
        told: what happened and what is asked, for the same.
    """

    reference: str
    fence: int
    kind: ChannelKind
    address: str
    language: str
    subject: str
    text: str
    html: str | None
    link: str
    unsubscribe: str | None = None
    asker: str = ""
    told: str = ""


class Fate(StrEnum):
    """How a hand-over went. Only a definite refusal may be tried again (guarantee 4)."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    REFUSED_FOR_NOW = "refused_for_now"
    IN_DOUBT = "in_doubt"


@dataclass(frozen=True, slots=True)
class Result:
    """A fate, with the reason where it was not accepted (a code of ours, no personal data).

    Attributes:
        elsewhere: nobody was called, since this provider cannot take the message; another one of its kind may.
    """

    fate: Fate
    reason: str | None = None
    again_after: float = 0.0
    elsewhere: bool = False


class Channel(Protocol):
    """A way to hand messages over."""

    kinds: frozenset[ChannelKind]

    async def send(self, message: Message) -> Result:
        """Hand the message over. Never raises for what the other side does: that is a `Result`."""
        ...

    async def look_up(self, reference: str) -> Result | None:
        """What became of a hand-over that was interrupted; None where the other side cannot tell."""
        ...

    async def close(self) -> None:
        """Let connections go."""
        ...


@runtime_checkable
class Timed(Protocol):
    """A channel with time-outs of its own.

    Attributes:
        longest_call_seconds: so long one `send` may take.
    """

    longest_call_seconds: float
