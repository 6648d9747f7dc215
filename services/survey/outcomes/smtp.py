"""Outcome messages as e-mail. The end of the DATA command is the point of no return."""

import asyncio
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, parseaddr

import aiosmtplib

from services.survey.outcomes.message import Fate, OutcomeMessage, Result

# 7 bits, which every server takes.
_WIRE = SMTP.clone(cte_type="7bit", max_line_length=900)
_PERMANENT = range(500, 600)
_NOT_LOGGED_IN = frozenset({530, 535, 538})
_ABOUT_US = ("5.7.", "5.1.7", "5.1.8")
"""Enhanced status (RFC 3463): a policy against us, or our sender."""


@dataclass(frozen=True, slots=True)
class OutcomeMail:
    """Hands each message to the SMTP server on a connection of its own: they are few, and written by people."""

    host: str
    port: int
    sender: str
    timeout_seconds: float

    async def send(self, message: OutcomeMessage) -> Result:
        """Hand over. Before DATA is answered every failure is a refusal; after its first byte, a doubt."""
        try:
            message.address.encode("ascii")
            mail = written(self.sender, message)
        except ValueError:
            return Result(Fate.REFUSED, "unwritable")
        client = aiosmtplib.SMTP(hostname=self.host, port=self.port, timeout=self.timeout_seconds)
        try:
            async with asyncio.timeout(self.timeout_seconds):
                await client.connect()
                await client.mail(parseaddr(self.sender)[1])
                await client.rcpt(message.address)
        except aiosmtplib.SMTPResponseException as error:
            client.close()
            return _refusal(error, known=_is_about_recipient(error))
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            client.close()
            return Result(Fate.REFUSED_FOR_NOW, f"smtp_{type(error).__name__}")
        return await self._hand_over(client, mail)

    async def _hand_over(self, client: aiosmtplib.SMTP, mail: bytes) -> Result:
        try:
            async with asyncio.timeout(self.timeout_seconds):
                await client.data(mail)
        except aiosmtplib.SMTPDataError as error:
            return _refusal(error, known=not _is_about_us(error))
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            return Result(Fate.IN_DOUBT, f"smtp_{type(error).__name__}")
        finally:
            client.close()
        return Result(Fate.ACCEPTED)


def written(sender: str, message: OutcomeMessage) -> bytes:
    """The mail on the wire; a reply goes to a person.

    Raises:
        ValueError: a header would hold a line break, or a text no letters.
    """
    mail = EmailMessage(policy=_WIRE)
    mail["From"] = sender
    mail["To"] = message.address
    mail["Subject"] = message.subject
    mail["Date"] = formatdate(usegmt=True)
    mail["Message-ID"] = f"<{message.reference}@{parseaddr(sender)[1].rpartition('@')[2]}>"
    mail.set_content(message.text)
    mail["Content-Language"] = message.language  # setting the content drops what was said about it before
    return mail.as_bytes()


def _is_about_recipient(error: aiosmtplib.SMTPResponseException) -> bool:
    """Whether a refusal judges the recipient, and not us: our address, sender or log-in are mended some day."""
    return isinstance(error, aiosmtplib.SMTPRecipientRefused) and not _is_about_us(error)


def _is_about_us(error: aiosmtplib.SMTPResponseException) -> bool:
    """Many servers tell only of the recipient, or of the content, what they think of us."""
    return error.code in _NOT_LOGGED_IN or error.message.startswith(_ABOUT_US)


def _refusal(error: aiosmtplib.SMTPResponseException, *, known: bool = True) -> Result:
    lasting = known and error.code in _PERMANENT
    return Result(Fate.REFUSED if lasting else Fate.REFUSED_FOR_NOW, f"smtp_{error.code}")
