"""The dialogue over one SMTP connection that is open, greeted and logged in: commands out, replies in.

aiosmtplib makes the connection; a session takes it over, since each of its commands cost as much as a mail should.
"""

import asyncio
import re
from collections import deque
from typing import NamedTuple, cast

import aiosmtplib

_MOST_REPLY = 64 * 1024
_REPLY = re.compile(rb"(?:\d{3}-[^\n]*\n)*(\d{3})(?: ([245]\.\d{1,3}\.\d{1,3})?[^\n]*)?\r?\n")
_YES = range(200, 300)
_GO_ON = (354,)
_NOT_LOGGED_IN = frozenset({530, 535, 538})
"""RFC 4954: we have to log in, or to encrypt before."""
_OUR_SENDER = frozenset({b"5.1.7", b"5.1.8"})
_POLICY = b"5.7."


class LostError(Exception):
    """The connection is of no use any more; the text is a reason code."""


class RefusedError(Exception):
    """The server said no before the content.

    Attributes:
        code: its reply.
        about_recipient: the reply judges the recipient; else us: our sender, log-in, network.
    """

    def __init__(self, code: int, *, about_recipient: bool = False) -> None:
        super().__init__(code)
        self.code = code
        self.about_recipient = about_recipient


class Reply(NamedTuple):
    """A reply's code, and its enhanced status (RFC 3463) where it tells one."""

    code: int
    status: bytes = b""


class SmtpSession(asyncio.Protocol):
    """One connection; one mail at a time.

    Attributes:
        pipelines: the server takes several commands at once (RFC 2920).
    """

    def __init__(self, transport: asyncio.Transport, *, pipelines: bool) -> None:
        self.pipelines = pipelines
        self.is_usable = not transport.is_closing()
        self._transport = transport
        self._buffer = bytearray()
        self._replies: deque[Reply] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._why = "disconnected"
        transport.set_protocol(self)

    @classmethod
    async def greeted(cls, client: aiosmtplib.SMTP) -> "SmtpSession":
        """Take over the connection of a client."""
        if client.is_ehlo_or_helo_needed:
            try:
                await client.ehlo()
            except aiosmtplib.SMTPHeloError:
                await client.helo()
        transport = client.transport
        if transport is None:
            raise LostError("disconnected")
        return cls(cast("asyncio.Transport", transport), pipelines=client.supports_extension("pipelining"))

    async def address(self, sender: bytes, recipient: bytes, deadline: float) -> None:
        """Announce a mail, so that its content may follow.

        Raises:
            RefusedError: the first refusal of the three commands.
            LostError: no answer; no content has left.
        """
        mail, rcpt = b"MAIL FROM:<%b>\r\n" % sender, b"RCPT TO:<%b>\r\n" % recipient
        commands = ((mail, _YES), (rcpt, _YES), (b"DATA\r\n", _GO_ON))
        said = await self._say(b"".join(c for c, _ in commands), 3, deadline) if self.pipelines else None
        for at, (command, wanted) in enumerate(commands):
            reply = said[at] if said is not None else (await self._say(command, 1, deadline))[0]
            if reply.code not in wanted:
                raise RefusedError(reply.code, about_recipient=command is rcpt and not is_about_us(reply))

    async def content(self, mail: bytes, deadline: float) -> Reply:
        """Hand over what `dotted` made; the server's reply.

        Raises:
            LostError: no answer; the mail may have been taken.
        """
        return (await self._say(mail, 1, deadline))[0]

    async def quit(self, deadline: float) -> None:
        """Say goodbye and close."""
        try:
            await self._say(b"QUIT\r\n", 1, deadline)
        except LostError:
            pass
        finally:
            self.close()

    def close(self, why: str = "disconnected") -> None:
        """Let it go."""
        self.is_usable, self._why = False, why if self.is_usable else self._why
        self._transport.abort()
        self._wake()

    def data_received(self, data: bytes) -> None:
        """Bytes came, perhaps whole replies."""
        self._buffer += data
        at = 0
        while reply := _REPLY.match(self._buffer, at):
            self._replies.append(Reply(int(reply[1]), reply[2] or b""))
            at = reply.end()
        del self._buffer[:at]
        if self._buffer.endswith(b"\n") and not self._buffer[:3].isdigit():
            self.close("no_smtp")
        elif len(self._buffer) > _MOST_REPLY:
            self.close("too_long")
        else:
            self._wake()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  why does not matter
        """It is closed."""
        self.close()

    async def _say(self, words: bytes, replies: int, deadline: float) -> list[Reply]:
        if self._replies:  # nobody asked for them: which reply belongs to what is lost
            self.close("no_smtp")
        if not self.is_usable:
            raise LostError(self._why)
        loop = asyncio.get_running_loop()
        timer = loop.call_at(deadline, self.close, "timeout")
        self._transport.write(words)
        try:
            while len(self._replies) < replies:
                if not self.is_usable:
                    raise LostError(self._why)
                self._waiter = loop.create_future()
                await self._waiter
        except asyncio.CancelledError:
            self.close()
            raise
        finally:
            timer.cancel()
        return [self._replies.popleft() for _ in range(replies)]

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def dotted(mail: bytes) -> bytes:
    """A mail with whole line ends as it goes over the wire: dots at the beginning of lines doubled, and the end."""
    if b"\r\n." in mail:
        mail = mail.replace(b"\r\n.", b"\r\n..")
    return mail + (b".\r\n" if mail.endswith(b"\r\n") else b"\r\n.\r\n")


def is_about_us(reply: Reply) -> bool:
    """Whether a refused RCPT TO or content judges us: many servers tell only there what they think of the client."""
    return reply.code in _NOT_LOGGED_IN or reply.status in _OUR_SENDER or reply.status.startswith(_POLICY)
