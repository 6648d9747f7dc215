"""What providers hand over when a person writes to our number, each in its own form. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.survey.answers.responses import Rejected

_LONGEST_ID = 255
_LONGEST_SENDER = 40
_LONGEST_TEXT = 10_000


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message of a person; `message_id` is the provider's, the same when it is handed over again."""

    message_id: str
    sender: str
    text: str

    def __post_init__(self) -> None:
        visible = self.message_id.isascii() and self.message_id.isprintable() and " " not in self.message_id
        if not visible or not 0 < len(self.message_id) <= _LONGEST_ID:
            raise Rejected("body", "has no id of the message")
        if not 0 < len(self.sender) <= _LONGEST_SENDER or len(self.text) > _LONGEST_TEXT:
            raise Rejected("body", "has no sender, or a text that is too long")


def from_46elks(form: Mapping[str, str]) -> Incoming:
    """https://46elks.com/docs/receive-sms.

    Raises:
        Rejected: it is no such message.
    """
    return Incoming(form.get("id", ""), form.get("from", ""), form.get("message", ""))


def from_twilio(form: Mapping[str, str]) -> Incoming:
    """https://www.twilio.com/docs/messaging/guides/webhook-request; WhatsApp numbers have a prefix.

    Raises:
        Rejected: it is no such message.
    """
    return Incoming(form.get("MessageSid", ""), form.get("From", "").removeprefix("whatsapp:"), form.get("Body", ""))


@dataclass(frozen=True, slots=True)
class Notification:
    """A batch of the Cloud API.

    Attributes:
        messages: texts and button replies of people.
        unreadable: how many others break a rule. They are left out: a batch that is refused comes again as it is.
    """

    messages: tuple[Incoming, ...]
    unreadable: int


def from_whatsapp(body: bytes) -> Notification:
    """What people wrote, of a notification; reports about our own messages, pictures and the like are left out.

    https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks/components

    Raises:
        Rejected: it is no such notification.
    """
    try:
        told = json.loads(body)
        values = [c["value"] for entry in told["entry"] for c in entry["changes"]]
        sent = [m for value in values for m in value.get("messages", [])]
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        raise Rejected("body", "is no notification") from None
    messages: list[Incoming] = []
    unreadable = 0
    for message in sent:
        try:
            if (text := _text(message)) is not None:
                messages.append(Incoming(str(message["id"]), f"+{message['from']}", text))
        except (Rejected, KeyError, TypeError):
            unreadable += 1
    return Notification(tuple(messages), unreadable)


def _text(message: Mapping[str, Any]) -> str | None:
    match message["type"]:
        case "text":
            return str(message["text"]["body"])
        case "button":
            return str(message["button"]["text"])
        case _:
            return None
