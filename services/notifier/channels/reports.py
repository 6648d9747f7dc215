"""What providers report back about messages that they took: checked, read, and put in one order (C13)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable
from urllib.parse import parse_qsl

from services.chassis.failures import Poison
from services.chassis.ids import read_uuid
from services.notifier.channels.receipt_links import ReceiptLinks

FORGED = "forged"
"""The reason of a report that its provider did not send."""
_MOST_FIELDS = 60
_LONGEST_WORD = 100


class Progress(StrEnum):
    """How far a message got, from the least to the most that can be known about it.

    `delivered` stands above `undelivered`: a provider that gave up may hear from the phone later, never the reverse.
    """

    ACCEPTED = "accepted"
    SENT = "sent"
    UNDELIVERED = "undelivered"
    DELIVERED = "delivered"


_ORDER = tuple(Progress)


def further(known: Progress | None, told: Progress) -> Progress:
    """What is known after one more report; the same for every order of the same reports."""
    return told if known is None else max(known, told, key=_ORDER.index)


@dataclass(frozen=True, slots=True)
class Report:
    """One report about one message.

    Attributes:
        reference: ours, proved or signed.
        message_id: the provider's; with the status it tells a repeated report from a new one.
        status: in the provider's words.
        raw: what was sent about this message, as it came. May hold the recipient's address.
        reason: the provider's code where the message did not arrive.
        hopeless: the address takes no message, now or later.
    """

    reference: str
    message_id: str
    status: str
    progress: Progress
    raw: bytes
    reason: str | None = None
    hopeless: bool = False


@dataclass(frozen=True, slots=True)
class Posted:
    """A request as it came; names of headers in small letters."""

    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    def form(self) -> dict[str, str]:
        """The fields of a form; of a repeated one the last.

        Raises:
            Poison: it is none.
        """
        try:
            pairs = parse_qsl(self.body.decode(), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
        except ValueError:
            raise Poison("unreadable", "no form") from None
        return dict(pairs)

    def json(self) -> Any:
        """The JSON document.

        Raises:
            Poison: it is none.
        """
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise Poison("unreadable", "no JSON") from None

    def proved_reference(self, provider: str, links: ReceiptLinks) -> str:
        """Our reference in an address that we made for this provider.

        Raises:
            Poison: we did not make it.
        """
        reference, proof = self.query.get("ref", ""), self.query.get("proof", "")
        if not links.holds(provider, reference, proof):
            raise Poison(FORGED, "the address holds no proof of ours")
        return reference


@runtime_checkable
class Reporting(Protocol):
    """A channel whose provider reports back."""

    def reports(self, posted: Posted) -> Sequence[Report]:
        """What the provider says; nothing where it says nothing about our messages.

        Raises:
            Poison: `forged`, or a word for what cannot be read.
        """
        ...


@runtime_checkable
class Subscribed(Protocol):
    """A channel whose provider asks whether the address is ours before it reports there."""

    def challenge(self, query: Mapping[str, str]) -> str | None:
        """What to answer; None to whom is not the provider."""
        ...


def word(text: object) -> str:
    """A provider's id, status or code.

    Raises:
        Poison: it is none.
    """
    found = str(text) if isinstance(text, str | int) else ""
    if not 0 < len(found) <= _LONGEST_WORD or not found.isprintable():
        raise Poison("unreadable", "a field is missing or no word")
    return found


def own_reference(text: object) -> str | None:
    """Our reference, where it is one."""
    found = read_uuid(text) if isinstance(text, str) else None
    return None if found is None else str(found)
