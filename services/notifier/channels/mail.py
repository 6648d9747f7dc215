"""An e-mail as it is handed over: text and HTML, and the headers that mail programs and operators look at."""

import hashlib
import hmac
import time
from binascii import b2a_qp
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid, parseaddr
from functools import lru_cache
from uuid import UUID

from services.chassis.failures import Poison
from services.notifier.channels import Message
from services.notifier.channels.bounces import read_bounce
from services.notifier.channels.receipt_links import ReceiptLinks
from services.notifier.channels.reports import FORGED, Progress, Report

# 7 bits, which every server takes; lines long enough that no address in a header is broken or encoded.
_WIRE = SMTP.clone(cte_type="7bit", max_line_length=900)
_TEXT, _HTML = "place-of-the-text", "place-of-the-html"


@dataclass(frozen=True, slots=True)
class MailForm:
    """What all mails of one provider share.

    Attributes:
        bounces: where bounces come back to, or none: then to the sender.
    """

    sender: str
    brand: str
    provider: str
    bounces: str | None = None
    links: ReceiptLinks | None = None


def written(form: MailForm, message: Message, recipient: str) -> bytes:
    """The mail on the wire.

    Raises:
        ValueError: a header would hold a line break, or a text no letters.
    """
    domain = _address(form.sender).rpartition("@")[2]
    head = {
        "To": recipient,
        "Date": _date(int(time.time())),
        "Message-ID": make_msgid(message.reference, domain=domain),
    }
    if message.unsubscribe is not None:
        head["List-Unsubscribe"] = f"<{message.unsubscribe}>"
        head["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    if not all(value.isascii() and value.isprintable() for value in head.values()):
        raise ValueError("a header would hold a line break or a letter that is not ASCII")
    own = "".join(f"{name}: {value}\r\n" for name, value in head.items()).encode()
    before, between, after = _mould(form, message.language, message.subject, message.html is not None)
    html = b"" if message.html is None else _quoted(message.html, message.link)
    return b"".join((own, before, _quoted(message.text, message.link), between, html, after))


@lru_cache(maxsize=1024)
def _mould(form: MailForm, language: str, subject: str, with_html: bool) -> tuple[bytes, bytes, bytes]:
    """All that mails of one subject share: before the text, between it and the HTML, and after that.

    Making it takes a hundred times as long as filling it.
    """
    mail = EmailMessage(policy=_WIRE)
    domain = _address(form.sender).rpartition("@")[2]
    mail["From"] = form.sender
    mail["Subject"] = subject
    mail["Auto-Submitted"] = "auto-generated"
    # Campaign, kind, provider, sender: what mail operators group complaints by.
    mail["Feedback-ID"] = f"delivery:{language}:{form.provider}:{domain}"
    mail.set_content(_TEXT, cte="quoted-printable")
    if with_html:
        mail.add_alternative(_HTML, subtype="html", cte="quoted-printable")
    mail["Content-Language"] = language  # setting the content drops what was said about it before
    before, _, rest = mail.as_bytes().partition(_TEXT.encode())
    between, _, after = rest.partition(_HTML.encode())
    return before, between, after


def _quoted(text: str, link: str) -> bytes:
    """Quoted-printable, line by line: most lines are those of every mail. What holds the link is remembered nowhere."""
    return b"\r\n".join([_quoted_line(line) if link in line else _remembered_line(line) for line in text.splitlines()])


def _quoted_line(line: str) -> bytes:
    # Without a line end in sight it breaks long lines by half of one.
    return b2a_qp(f"{line}\r\n".encode())[:-2]


_remembered_line = lru_cache(maxsize=1024)(_quoted_line)


@lru_cache(maxsize=8)
def _date(second: int) -> str:
    return format_datetime(datetime.fromtimestamp(second, UTC))


@lru_cache(maxsize=64)
def _address(sender: str) -> str:
    return parseaddr(sender)[1]


def envelope_sender(form: MailForm, reference: str) -> str:
    """Where a bounce of this message comes back to: an address of its own, proved (VERP)."""
    if form.bounces is None or form.links is None:
        return _address(form.sender)
    name, _, domain = form.bounces.partition("@")
    short = UUID(reference).hex
    return f"{name}+{short}.{_proof(form.links, form.provider, short)}@{domain}"


def report_of_bounce(mail: bytes, provider: str, links: ReceiptLinks) -> Report | None:
    """What a returned mail says about a message of ours; None for a mail that is no notification.

    Raises:
        Poison: `forged` for a notification that no return path of ours proves.
    """
    bounce = read_bounce(mail)
    if bounce is None:
        return None
    found = (reference_of_bounce(address, provider, links) for address in bounce.addresses)
    reference = next((r for r in found if r is not None), None)
    if reference is None:
        raise Poison(FORGED, "sent to no return path of ours")
    reason = bounce.status if bounce.progress is Progress.UNDELIVERED else None
    return Report(
        reference, bounce.message_id, bounce.status, bounce.progress, bounce.part, reason, hopeless=bounce.hopeless
    )


def reference_of_bounce(address: str, provider: str, links: ReceiptLinks) -> str | None:
    """The message that a bounce's recipient address belongs to; None for one that we did not make."""
    tag = address.lower().partition("@")[0].rpartition("+")[2]
    short, _, proof = tag.partition(".")
    if not hmac.compare_digest(_proof(links, provider, short).encode(), proof.encode()):
        return None
    return str(UUID(short))


def _proof(links: ReceiptLinks, provider: str, short: str) -> str:
    # The proof of the receipt's address, so shortened that the name stays within 64 characters.
    return hashlib.sha256(links.url(provider, short).rpartition("=")[2].encode()).hexdigest()[:16]
