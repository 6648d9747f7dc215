"""E-mail over SMTP on kept connections. The end of the DATA command is the point of no return."""

import asyncio
from typing import Literal

import aiosmtplib
import structlog
from pydantic import Field

from schemas.delivery import ChannelKind
from services.chassis.failures import Poison
from services.notifier.channels import Fate, Message, Result
from services.notifier.channels.described import ProviderTable, Surroundings
from services.notifier.channels.mail import MailForm, envelope_sender, report_of_bounce, written
from services.notifier.channels.reports import FORGED, Posted, Report

log = structlog.get_logger()
_PERMANENT = range(500, 600)
_START_TLS = {"auto": None, "starttls": True, "tls": False, "off": False}


class SmtpTable(ProviderTable):
    """`adapter = "smtp"`; with `username`, the password stands in `secret_file`."""

    adapter: Literal["smtp"] = "smtp"
    host: str
    port: int = Field(default=587, ge=1, le=65535)
    security: Literal["auto", "starttls", "tls", "off"] = "starttls"
    """`starttls` and `tls` insist on encryption, `auto` takes what the server offers."""
    username: str | None = None
    sender: str
    """From address of e-mails; replies to it must be read by a person."""
    bounces: str | None = Field(default=None, pattern=r"^[^@\s+]{1,8}@[^@\s]+$")
    """Address that bounces come back to; the message's reference is added before the @."""
    connections: int = Field(default=8, ge=1, le=64)
    """Connections kept at most."""

    def build(self, surroundings: Surroundings) -> "Smtp":
        """The channel."""
        form = MailForm(self.sender, surroundings.brand, self.name, self.bounces, surroundings.links)
        return Smtp(self, form, self.secret() if self.username else None)


class Smtp:
    """Hands e-mails to an SMTP server."""

    kinds = frozenset({ChannelKind.EMAIL})

    def __init__(self, table: SmtpTable, form: MailForm, password: str | None = None) -> None:
        self._table = table
        self._form = form
        self._password = password
        self._timeout = table.timeout_seconds
        self._idle: list[aiosmtplib.SMTP] = []

    async def send(self, message: Message) -> Result:
        """Hand over. Before DATA is answered every failure is a refusal; after its first byte, a doubt."""
        try:
            recipient = message.address.strip()
            recipient.encode("ascii")
            mail = written(self._form, message, recipient)
            sender = envelope_sender(self._form, message.reference)
        except Exception:
            log.exception("mail cannot be made", action="refuse", reference=message.reference)
            return Result(Fate.REFUSED, "smtp_unwritable")
        opened: list[aiosmtplib.SMTP] = []
        try:
            async with asyncio.timeout(self._timeout):
                client = await self._addressed(sender, recipient, opened)
        except aiosmtplib.SMTPResponseException as error:
            _close(opened)
            return _refusal(error)
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            _close(opened)
            return Result(Fate.REFUSED_FOR_NOW, f"smtp_{type(error).__name__}", 30)
        return await self._hand_over(client, mail)

    async def _addressed(self, sender: str, recipient: str, opened: list[aiosmtplib.SMTP]) -> aiosmtplib.SMTP:
        """A connection that has taken both addresses; a kept one that is dead by now is replaced."""
        while self._idle:
            client = self._idle.pop()
            opened.append(client)
            try:
                await client.mail(sender)
                await client.rcpt(recipient)
            except (aiosmtplib.SMTPServerDisconnected, OSError):
                client.close()
            except aiosmtplib.SMTPResponseException as error:
                if error.code != aiosmtplib.SMTPStatus.domain_unavailable:  # 421: it hangs up on an idle connection
                    raise
                client.close()
            else:
                return client
        client = self._client()
        opened.append(client)
        await client.connect()
        await client.mail(sender)
        await client.rcpt(recipient)
        return client

    def _client(self) -> aiosmtplib.SMTP:
        table = self._table
        return aiosmtplib.SMTP(
            hostname=table.host,
            port=table.port,
            timeout=self._timeout,
            use_tls=table.security == "tls",
            start_tls=_START_TLS[table.security],
            username=table.username,
            password=self._password,
        )

    async def _hand_over(self, client: aiosmtplib.SMTP, mail: bytes) -> Result:
        try:
            async with asyncio.timeout(self._timeout):
                await client.data(mail)
        except aiosmtplib.SMTPDataError as error:
            client.close()
            return _refusal(error)
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            client.close()
            return Result(Fate.IN_DOUBT, f"smtp_{type(error).__name__}")
        if len(self._idle) < self._table.connections and client.is_connected:
            self._idle.append(client)
        else:
            client.close()
        return Result(Fate.ACCEPTED)

    async def look_up(self, reference: str) -> Result | None:  # noqa: ARG002  SMTP has no such question
        """SMTP cannot tell."""
        return None

    def reports(self, posted: Posted) -> list[Report]:
        """A returned mail, as a mail server pipes it; its return path is the proof."""
        if self._form.links is None:
            raise Poison(FORGED, "no return path is ours")
        report = report_of_bounce(posted.body, self._form.provider, self._form.links)
        return [] if report is None else [report]

    async def close(self) -> None:
        """Say goodbye on the kept connections."""
        while self._idle:
            client = self._idle.pop()
            try:
                async with asyncio.timeout(2):
                    await client.quit()
            except (aiosmtplib.SMTPException, OSError, TimeoutError):
                client.close()


def _refusal(error: aiosmtplib.SMTPResponseException) -> Result:
    permanent = error.code in _PERMANENT and not isinstance(error, aiosmtplib.SMTPAuthenticationError)
    return Result(Fate.REFUSED if permanent else Fate.REFUSED_FOR_NOW, f"smtp_{error.code}", 300)


def _close(clients: list[aiosmtplib.SMTP]) -> None:
    for client in clients:
        client.close()
