"""E-mail over SMTP. The end of the DATA command is the point of no return."""

import asyncio
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, make_msgid, parseaddr

import aiosmtplib
import structlog

from schemas.delivery import ChannelKind
from services.notifier.channels import Fate, Message, Result

log = structlog.get_logger()
_PERMANENT = range(500, 600)
_WIRE = SMTP.clone(cte_type="7bit")  # every server takes it


class Smtp:
    """Hands e-mails to an SMTP server, one connection a message."""

    kinds = frozenset({ChannelKind.EMAIL})

    def __init__(self, *, host: str, port: int, sender: str, timeout_seconds: float) -> None:
        self._host = host
        self._port = port
        self._sender = sender
        self._timeout = timeout_seconds

    async def send(self, message: Message) -> Result:
        """Hand over. Before DATA is answered every failure is a refusal; after its first byte, a doubt."""
        try:
            recipient = message.address.strip()
            recipient.encode("ascii")
            mail = self._mime(message, recipient).as_bytes()
        except Exception:
            log.exception("mail cannot be made", action="refuse", reference=message.reference)
            return Result(Fate.REFUSED, "smtp_unwritable")
        client = aiosmtplib.SMTP(hostname=self._host, port=self._port, timeout=self._timeout)
        try:
            async with asyncio.timeout(self._timeout):
                await client.connect()
                await client.mail(parseaddr(self._sender)[1])
                await client.rcpt(recipient)
        except aiosmtplib.SMTPResponseException as error:
            client.close()
            permanent = error.code in _PERMANENT
            return Result(Fate.REFUSED if permanent else Fate.REFUSED_FOR_NOW, f"smtp_{error.code}", 300)
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            client.close()
            return Result(Fate.REFUSED_FOR_NOW, f"smtp_{type(error).__name__}", 30)
        return await self._hand_over(client, mail)

    async def _hand_over(self, client: aiosmtplib.SMTP, mail: bytes) -> Result:
        try:
            async with asyncio.timeout(self._timeout):
                await client.data(mail)
        except aiosmtplib.SMTPDataError as error:
            client.close()
            permanent = error.code in _PERMANENT
            return Result(Fate.REFUSED if permanent else Fate.REFUSED_FOR_NOW, f"smtp_{error.code}", 300)
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            client.close()
            return Result(Fate.IN_DOUBT, f"smtp_{type(error).__name__}")
        try:
            async with asyncio.timeout(2):
                await client.quit()
        except (aiosmtplib.SMTPException, OSError, TimeoutError):
            client.close()
        return Result(Fate.ACCEPTED)

    def _mime(self, message: Message, recipient: str) -> EmailMessage:
        mail = EmailMessage(policy=_WIRE)
        mail["From"] = self._sender
        mail["To"] = recipient
        mail["Subject"] = message.subject
        mail["Date"] = formatdate(usegmt=True)
        mail["Message-ID"] = make_msgid(message.reference, domain=parseaddr(self._sender)[1].rpartition("@")[2])
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(message.text)
        if message.html is not None:
            mail.add_alternative(message.html, subtype="html")
        mail["Content-Language"] = message.language  # setting the content drops what was said about it before
        return mail

    async def look_up(self, reference: str) -> Result | None:  # noqa: ARG002  SMTP has no such question
        """SMTP cannot tell."""
        return None

    async def close(self) -> None:
        """Nothing is held."""
