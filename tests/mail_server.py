"""A real mail server on a free port, with what it answers in the hands of a test."""

import asyncio
import email
import email.policy
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP as SmtpProtocol  # noqa: N811  a class that others call by its abbreviation
from aiosmtpd.smtp import AuthResult, LoginPassword


@dataclass
class MailRoom:
    """Answers RCPT and DATA as told and keeps what was accepted."""

    to_rcpt: str = "250 OK"
    to_data: str = "250 OK"
    mails: list[tuple[str, list[str], EmailMessage]] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    sessions: list[tuple[int, str]] = field(default_factory=list)

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: list[str]) -> str:  # noqa: N802
        if self.to_rcpt.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.to_rcpt

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        if self.to_data.startswith("250"):
            self.raw.append(envelope.content)
            mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
            self.sessions.append((id(_session), envelope.mail_from))
            self.mails.append((envelope.mail_from, envelope.rcpt_tos, mail))
        return self.to_data


@asynccontextmanager
async def mail_server(
    handler: object,
    password: str | None = None,
    *,
    starttls: ssl.SSLContext | None = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[int]:
    """Serve with a handler of aiosmtpd, behind a password if there is one, and encrypted if so; yields the port."""
    loop = asyncio.get_running_loop()
    protocols: list[SmtpProtocol] = []

    def judge(_server: Any, _session: Any, _envelope: Any, _mechanism: str, said: LoginPassword) -> AuthResult:
        right = said.password == (password or "").encode()
        return AuthResult(success=right, handled=right)  # what is not handled gets the server's own refusal

    def begin() -> SmtpProtocol:
        wanted: dict[str, Any] = {"authenticator": judge, "auth_require_tls": False} if password else {}
        wanted |= {"tls_context": starttls, "require_starttls": True} if starttls else {}
        protocols.append(SmtpProtocol(handler, hostname="127.0.0.1", loop=loop, **wanted))
        return protocols[-1]

    server = await loop.create_server(begin, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for protocol in protocols:
            if protocol.transport is not None:
                protocol.transport.close()
        await asyncio.sleep(0.05)
