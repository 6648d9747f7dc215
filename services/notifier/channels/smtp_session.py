"""The dialogue over one SMTP connection that is open, greeted and logged in: commands out, reply codes in.

aiosmtplib makes the connection; a session takes it over, since each of its commands cost as much as a mail should.
"""

import asyncio
import re
from collections import deque
from typing import cast

import aiosmtplib

_MOST_REPLY = 64 * 1024
_REPLY = re.compile(rb"(?:\d{3}-[^\n]*\n)*(\d{3})(?: [^\n]*)?\r?\n")


class LostError(Exception):
    """The connection is of no use any more; the text is a reason code."""


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
        self._codes: deque[int] = deque()
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

    async def address(self, sender: bytes, recipient: bytes, deadline: float) -> int:
        """Announce a mail: 354 when its content may follow, else the code of the first refusal.

        Raises:
            LostError: no answer; no content has left.
        """
        mail, rcpt = b"MAIL FROM:<%b>\r\n" % sender, b"RCPT TO:<%b>\r\n" % recipient
        if self.pipelines:
            codes = await self._say(mail + rcpt + b"DATA\r\n", 3, deadline)
            return next((code for code in codes[:2] if not _is_yes(code)), codes[2])
        for command in (mail, rcpt):
            (code,) = await self._say(command, 1, deadline)
            if not _is_yes(code):
                return code
        return (await self._say(b"DATA\r\n", 1, deadline))[0]

    async def content(self, mail: bytes, deadline: float) -> int:
        """Hand over what `dotted` made; the server's code.

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
        """Bytes came; a code for each whole reply."""
        self._buffer += data
        at = 0
        while reply := _REPLY.match(self._buffer, at):
            self._codes.append(int(reply[1]))
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

    async def _say(self, words: bytes, replies: int, deadline: float) -> list[int]:
        if self._codes:  # nobody asked for them: which reply belongs to what is lost
            self.close("no_smtp")
        if not self.is_usable:
            raise LostError(self._why)
        loop = asyncio.get_running_loop()
        timer = loop.call_at(deadline, self.close, "timeout")
        self._transport.write(words)
        try:
            while len(self._codes) < replies:
                if not self.is_usable:
                    raise LostError(self._why)
                self._waiter = loop.create_future()
                await self._waiter
        except asyncio.CancelledError:
            self.close()
            raise
        finally:
            timer.cancel()
        return [self._codes.popleft() for _ in range(replies)]

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def dotted(mail: bytes) -> bytes:
    """A mail with whole line ends as it goes over the wire: dots at the beginning of lines doubled, and the end."""
    if b"\r\n." in mail:
        mail = mail.replace(b"\r\n.", b"\r\n..")
    return mail + (b".\r\n" if mail.endswith(b"\r\n") else b"\r\n.\r\n")


def _is_yes(code: int) -> bool:
    return 200 <= code < 300  # noqa: PLR2004  RFC 5321 4.2.1
