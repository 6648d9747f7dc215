"""A mail that came back, read: whether it arrived, and whether the address is hopeless (RFC 3464, RFC 3463). Pure."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from email.utils import getaddresses

from services.notifier.channels.reports import Progress

_ADDRESSED_TO = ("delivered-to", "x-original-to", "envelope-to", "to")
_HOPELESS = re.compile(r"5\.(?:0\.\d{1,3}|1\.(?!7$|8$)\d{1,3}|2\.1|4\.4)", re.ASCII)
"""No such mailbox, domain or route. A full mailbox (5.2.2), a refused text (5.6, 5.7) or sender (5.1.7) may pass."""
_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}", re.ASCII)
_PROGRESS = {
    "delayed": Progress.SENT,
    "relayed": Progress.SENT,
    "expanded": Progress.SENT,
    "delivered": Progress.DELIVERED,
    "failed": Progress.UNDELIVERED,
}
_WORST_FIRST = ("failed", "delayed", "relayed", "expanded", "delivered")


@dataclass(frozen=True, slots=True)
class Bounce:
    """What a delivery status notification says.

    Attributes:
        addresses: whom it was sent to; one of them may be the return path of a message of ours.
        message_id: tells it from other notifications.
        status: the action and the code of RFC 3463, such as `failed 5.1.1`.
        part: the part that says so, with the recipient's address in it.
    """

    addresses: tuple[str, ...]
    message_id: str
    status: str
    progress: Progress
    hopeless: bool
    part: bytes


def read_bounce(raw: bytes) -> Bounce | None:
    """What came back; None for a mail that is no delivery status notification, such as an absence note."""
    mail = message_from_bytes(raw)
    part = next((p for p in mail.walk() if p.get_content_type() == "message/delivery-status"), None)
    if part is None:
        return None
    told = sorted(_recipients(part), key=lambda r: _WORST_FIRST.index(r[0]))
    if not told:
        return None
    action, status = told[0]
    name = str(mail.get("message-id") or "").strip().encode() or raw
    return Bounce(
        tuple(_addresses(mail)),
        hashlib.sha256(name).hexdigest()[:32],
        f"{action} {status}",
        _PROGRESS[action],
        action == "failed" and _HOPELESS.fullmatch(status) is not None,
        part.as_bytes(),
    )


def _recipients(part: Message) -> Iterator[tuple[str, str]]:
    """Action and status of each recipient; the block about the message itself has neither."""
    for block in part.walk():
        action = str(block.get("action") or "").strip().lower()
        if action in _PROGRESS:
            found = _STATUS.match(str(block.get("status") or "").strip())
            yield action, found[0] if found else "0.0.0"


def _addresses(mail: Message) -> Iterator[str]:
    for name in _ADDRESSED_TO:
        for _, address in getaddresses([str(v) for v in mail.get_all(name, [])]):
            if address:
                yield address
