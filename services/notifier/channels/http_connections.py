"""HTTP/1.1 over kept connections, for calls that are many, small and alike: httptools parses, we write.

A general client takes about 100 us of processor time for a call, more than anything else about a message.
"""

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple, cast

import httptools

MOST_BODY = 64 * 1024
_MOST_HEAD = 64 * 1024
_IDLE_SECONDS = 15.0
_RESOLVED_SECONDS = 10.0
_INFORMATIONAL = range(100, 200)


class Reply(NamedTuple):
    """A provider's answer; `body` is what came of it, at most MOST_BODY bytes."""

    status: int
    retry_after: str | None
    body: bytes


class Place(NamedTuple):
    """Where to call. `name` is what the server's certificate must prove; without `tls` nothing is encrypted."""

    host: str
    port: int
    name: str
    tls: ssl.SSLContext | None


class UnreachableError(Exception):
    """No connection: no byte of the request has left."""


class BrokenError(Exception):
    """The request was written and no status came back; the text is a reason code."""


class Connection(asyncio.Protocol):
    """One connection; one request at a time."""

    def __init__(self) -> None:
        self.is_usable = True
        self.idle_since = 0.0
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[Reply] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._status = 0
        self._retry_after: str | None = None
        self._body = bytearray()
        self._received = 0

    async def exchange(self, request: bytes, deadline: float) -> Reply:
        """The reply to a request, as far as it has come by the deadline (in the loop's time).

        Raises:
            BrokenError: no status came.
        """
        assert self._transport is not None
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        self._timer = loop.call_at(deadline, self._end, "timeout")
        self._transport.write(request)
        try:
            return await self._waiter
        except asyncio.CancelledError:
            self._end("cancelled")
            raise

    def close(self) -> None:
        """Let it go."""
        self.is_usable = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  why does not matter
        """It is closed, which is how a body without a length ends."""
        self._end("disconnected")

    def data_received(self, data: bytes) -> None:
        """Bytes came; nobody expects them on an idle connection."""
        self._received += len(data)
        if self._waiter is None or self._received > _MOST_HEAD + MOST_BODY:
            self._end("too_long")
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._end("no_http")

    # -- what the parser tells --

    def on_message_begin(self) -> None:
        """A reply begins; one that nobody asked for spoils the connection."""
        if self._waiter is None:
            self.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header."""
        if name.lower() == b"retry-after":
            self._retry_after = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._body += body
        if len(self._body) >= MOST_BODY:
            self._end("too_long")

    def on_message_complete(self) -> None:
        """The reply is whole, unless it only announces one."""
        if self._status in _INFORMATIONAL:
            self._forget()
            return
        if not self._parser.should_keep_alive():
            self.close()
        self._answer("no_http")

    def _end(self, why: str) -> None:
        self.close()
        self._answer(why)

    def _answer(self, why: str) -> None:
        waiter, self._waiter = self._waiter, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if waiter is not None and not waiter.done():
            if self._status:
                waiter.set_result(Reply(self._status, self._retry_after, bytes(self._body[:MOST_BODY])))
            else:
                waiter.set_exception(BrokenError(why))
        self._forget()

    def _forget(self) -> None:
        self._status = 0
        self._retry_after = None
        self._body.clear()
        self._received = 0


class Connections:
    """Kept connections, as many to a place as there are calls at once; idle ones go after 15 s."""

    def __init__(self, *, keep: bool) -> None:
        self._keep = keep
        self._idle: dict[Place, deque[Connection]] = {}
        self._resolved: dict[Place, tuple[float, asyncio.Task[Sequence[str]]]] = {}

    async def exchange(self, place: Place, request: bytes, seconds: float) -> Reply:
        """The reply to a request, within so many seconds; half of them may pass before there is a connection.

        Raises:
            UnreachableError: nothing was sent.
            BrokenError: it was, and no status came back.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        connection = self._idle_one(place, loop.time()) or await self._open(place, seconds / 2)
        reply = await connection.exchange(request, deadline)
        if not self._keep:
            connection.close()
        elif connection.is_usable:
            connection.idle_since = loop.time()
            self._idle.setdefault(place, deque()).append(connection)
        return reply

    def close(self) -> None:
        """Let all idle connections go."""
        for connections in self._idle.values():
            for connection in connections:
                connection.close()
        self._idle.clear()

    def _idle_one(self, place: Place, now: float) -> Connection | None:
        """The one used last; those that are idle for too long are closed, as the server will do it too."""
        idle = self._idle.get(place)
        if idle is None:
            return None
        while idle and (not idle[0].is_usable or idle[0].idle_since < now - _IDLE_SECONDS):
            idle.popleft().close()
        while idle:
            if (connection := idle.pop()).is_usable:
                return connection
        return None

    async def _open(self, place: Place, seconds: float) -> Connection:
        try:
            async with asyncio.timeout(seconds):
                addresses = await self._addresses(place)
                for address in addresses:
                    # An address that swallows all we send must leave time for the next.
                    connection = await self._try(place, address, seconds / (len(addresses) + 1))
                    if connection is not None:
                        return connection
        except (OSError, TimeoutError, UnicodeError):
            pass
        raise UnreachableError

    @staticmethod
    async def _try(place: Place, address: str, seconds: float) -> Connection | None:
        try:
            async with asyncio.timeout(seconds):
                _, connection = await asyncio.get_running_loop().create_connection(
                    Connection,
                    address,
                    place.port,
                    ssl=place.tls,
                    server_hostname=place.name if place.tls is not None else None,
                )
                return connection
        except (OSError, TimeoutError):
            return None

    async def _addresses(self, place: Place) -> Sequence[str]:
        """The numbers of a place's name; five hundred calls at once ask for them together."""
        now = asyncio.get_running_loop().time()
        until, task = self._resolved.get(place, (0.0, None))
        if task is None or until < now:
            task = asyncio.create_task(_resolve(place))
            self._resolved[place] = (now + _RESOLVED_SECONDS, task)
        try:
            return await asyncio.shield(task)
        except OSError:
            self._resolved.pop(place, None)
            raise


async def _resolve(place: Place) -> Sequence[str]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
