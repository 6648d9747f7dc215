"""E-mail over SMTP on kept connections. The first byte of the content is the point of no return."""

import asyncio
import re
from email.utils import parseaddr
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
from services.notifier.channels.smtp_session import LostError, RefusedError, SmtpSession, dotted, is_about_us

log = structlog.get_logger()
_PERMANENT = range(500, 600)
_PLAIN = re.compile(r"[!-;=?-~]+@[!-;=?-~]+").fullmatch
START_TLS = {"auto": None, "starttls": True, "tls": False, "off": False}
"""What `security` means to aiosmtplib; None takes what the server offers."""


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

    @property
    def longest_call_seconds(self) -> float:
        """One time-out until the content may leave, and one for the content."""
        return 2 * self.timeout_seconds

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
        self.longest_call_seconds = table.longest_call_seconds
        self._idle: list[SmtpSession] = []

    async def send(self, message: Message) -> Result:
        """Hand over. Before the content leaves every failure is a refusal; after its first byte, a doubt."""
        try:
            recipient = message.address.strip()
            mail = dotted(written(self._form, message, recipient))
            addresses = _path(envelope_sender(self._form, message.reference)), _path(recipient)
        except Exception:
            log.exception("mail cannot be made", action="refuse", reference=message.reference)
            return Result(Fate.REFUSED, "smtp_unwritable")
        try:
            session = await self._addressed(*addresses, self._clock() + self._timeout)
        except RefusedError as no:
            return _refusal(no.code, known=no.about_recipient)
        except aiosmtplib.SMTPResponseException as error:  # greeting, EHLO, log-in: nobody's address was named yet
            return _refusal(error.code, known=False)
        except LostError as error:
            return Result(Fate.REFUSED_FOR_NOW, f"smtp_{error}", 30)
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            return Result(Fate.REFUSED_FOR_NOW, f"smtp_{type(error).__name__}", 30)
        return await self._hand_over(session, mail)

    async def _addressed(self, sender: bytes, recipient: bytes, deadline: float) -> SmtpSession:
        """A session that waits for the content; a kept one that is dead by now is replaced."""
        while self._idle:
            session = self._idle.pop()
            try:
                return await _ready(session, sender, recipient, deadline)
            except LostError:
                if self._clock() >= deadline:
                    raise
            except RefusedError as no:
                if no.code != aiosmtplib.SMTPStatus.domain_unavailable:  # 421: it hangs up on an idle connection
                    raise
        return await _ready(await self._open(deadline), sender, recipient, deadline)

    async def _open(self, deadline: float) -> SmtpSession:
        table = self._table
        client = aiosmtplib.SMTP(
            hostname=table.host,
            port=table.port,
            timeout=self._timeout,
            use_tls=table.security == "tls",
            start_tls=START_TLS[table.security],
            username=table.username,
            password=self._password,
        )
        try:
            async with asyncio.timeout_at(deadline):
                await client.connect()
                return await SmtpSession.greeted(client)
        except BaseException:
            client.close()
            raise

    async def _hand_over(self, session: SmtpSession, mail: bytes) -> Result:
        try:
            reply = await session.content(mail, self._clock() + self._timeout)
        except LostError as error:
            return Result(Fate.IN_DOUBT, f"smtp_{error}")
        if reply.code != aiosmtplib.SMTPStatus.completed:
            session.close()
            return _refusal(reply.code, known=not is_about_us(reply))
        if len(self._idle) < self._table.connections and session.is_usable:
            self._idle.append(session)
        else:
            session.close()
        return Result(Fate.ACCEPTED)

    @staticmethod
    def _clock() -> float:
        return asyncio.get_running_loop().time()

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
            await self._idle.pop().quit(self._clock() + 2)


async def _ready(session: SmtpSession, sender: bytes, recipient: bytes, deadline: float) -> SmtpSession:
    """The session, once it waits for the content; nothing has left otherwise."""
    try:
        await session.address(sender, recipient, deadline)
    except RefusedError:
        session.close()
        raise
    return session


def _path(address: str) -> bytes:
    """An address as commands hold it.

    Raises:
        ValueError: it is not ASCII, or would be another command.
    """
    if not address.isascii() or not address.isprintable():
        raise ValueError("no address that every server takes")
    return (address if _PLAIN(address) else parseaddr(address)[1] or address).encode()


def _refusal(code: int, *, known: bool = True) -> Result:
    """`known`: the server judged this mail. What it says about us is mended some day, and must end no request."""
    return Result(Fate.REFUSED if known and code in _PERMANENT else Fate.REFUSED_FOR_NOW, f"smtp_{code}", 300)
