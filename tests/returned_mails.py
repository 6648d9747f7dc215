"""Delivery status notifications as mail servers write them."""

from email.message import EmailMessage, Message
from email.mime.multipart import MIMEMultipart

from services.notifier.channels.mail import MailForm, envelope_sender
from tests.channel_kit import LINKS, REFERENCE

VERP = MailForm("Nordposten <svar@nordposten.example>", "Nordposten", "mail", "studs@nordposten.example", LINKS)


def returned(status: str, action: str = "failed", to: str | None = None, header: str = "To") -> bytes:
    """A notification as mail servers write it."""
    told = Message()
    told["Reporting-MTA"] = "dns; mx.mottagare.example"
    about = Message()
    about["Final-Recipient"] = "rfc822; astrid@mottagare.example"
    about["Action"] = action
    about["Status"] = status
    part = Message()
    part["Content-Type"] = "message/delivery-status"
    part.set_payload([told, about])
    words = EmailMessage()
    words.set_content("It did not arrive.")
    mail = MIMEMultipart("report")
    mail.set_param("report-type", "delivery-status")
    mail["From"] = "MAILER-DAEMON@mx.mottagare.example"
    mail[header] = to or envelope_sender(VERP, REFERENCE)
    mail["Message-ID"] = f"<{status}.{action}@mx.mottagare.example>"
    mail.attach(words)
    mail.attach(part)
    return mail.as_bytes()
