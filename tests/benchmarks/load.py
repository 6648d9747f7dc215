"""Load on an HTTP server from one process with little work per request: ready bytes out, the reply's edges in.

A request of the HTTP client that the tests use costs as much as the server's own work on it, and the two
share a machine: these connections keep the measurement about the server.
"""

import asyncio
import contextlib
import gc
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast

_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length: "
_RETRY = b"\r\nretry-after: "
_OK = 200


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back for request number `number`; seconds count from the moment it was due."""

    number: int
    status: int
    first_byte: float
    seconds: float
    told_when: bool
    """Whether Retry-After came along."""
    at: float
    """When the whole reply was there, on the clock of `time.perf_counter`."""
    own_delay: float = 0.0
    """Of these seconds, those that this process took to send what was due, though a connection was free."""


class _Connection(asyncio.Protocol):
    """A keep-alive connection with one request under way at most."""

    def __init__(self, replied: Callable[["_Connection", Reply], None], lost: Callable[[], None]) -> None:
        self._replied = replied
        self._lost = lost
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._first = 0.0
        self._number = 0
        self._due = 0.0
        self._own_delay = 0.0
        self.closing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def send(self, number: int, request: bytes, due: float, own_delay: float = 0.0) -> None:
        """Send one request; `due` is when it should have been sent."""
        assert self._transport is not None
        self._number, self._due, self._own_delay, self._buffer = number, due, own_delay, b""
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        if not self._buffer:
            self._first = time.perf_counter()
        self._buffer += data
        end = self._buffer.find(_HEAD_END)
        if end < 0:
            return
        at = self._buffer.find(_LENGTH, 0, end + 2)
        length = int(self._buffer[at + len(_LENGTH) : self._buffer.find(b"\r", at)]) if at >= 0 else 0
        if len(self._buffer) < end + len(_HEAD_END) + length:
            return
        now = time.perf_counter()
        status = int(self._buffer[9:12])
        told_when = status != _OK and _RETRY in self._buffer[:end]
        first_byte, seconds = self._first - self._due, now - self._due
        self._replied(self, Reply(self._number, status, first_byte, seconds, told_when, now, self._own_delay))

    def connection_lost(self, _: Exception | None) -> None:
        if not self.closing:
            self._lost()

    def close(self) -> None:
        """Close without counting it as lost."""
        self.closing = True
        if self._transport is not None:
            self._transport.close()


class _Run:
    """Connections to one server, and the replies that they got."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.replies: list[Reply] = []
        self.failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.connections: list[_Connection] = []

    def lost(self) -> None:
        if not self.failure.done():
            self.failure.set_exception(ConnectionError("the server closed a connection under load"))

    async def open(self, count: int, replied: Callable[[_Connection, Reply], None]) -> list[_Connection]:
        loop = asyncio.get_running_loop()
        for _ in range(count):
            _, connection = await loop.create_connection(
                lambda: _Connection(replied, self.lost), "127.0.0.1", self.port
            )
            self.connections.append(connection)
        return self.connections

    def close(self) -> None:
        self.failure.cancel()
        for connection in self.connections:
            connection.close()


@contextlib.contextmanager
def _no_pauses() -> Iterator[None]:
    """No look for cycles in this process meanwhile: what it holds is large, and its pauses would count as waiting."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def closed_loop(port: int, requests: Sequence[bytes], clients: int, seconds: float) -> list[Reply]:
    """Each client sends its next request as soon as it has the last one's reply, until the time is over."""
    run = _Run(port)
    waiting: Iterator[tuple[int, bytes]] = iter(enumerate(requests))
    all_ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    end = 0.0
    working = 0

    def go_on(connection: _Connection) -> None:
        nonlocal working
        now = time.perf_counter()
        if now < end and (following := next(waiting, None)) is not None:
            connection.send(*following, now)
            return
        working -= 1
        if working == 0 and not all_ended.done():
            all_ended.set_result(None)

    def replied(connection: _Connection, reply: Reply) -> None:
        run.replies.append(reply)
        go_on(connection)

    connections = await run.open(clients, replied)
    working = len(connections)
    end = time.perf_counter() + seconds
    for connection in connections:
        go_on(connection)
    try:
        with _no_pauses():
            await asyncio.wait([all_ended, run.failure], return_when=asyncio.FIRST_COMPLETED)
        if run.failure.done():
            run.failure.result()
    finally:
        run.close()
    return run.replies


async def open_loop(port: int, requests: Sequence[bytes], rate: float, connections: int = 256) -> list[Reply]:
    """Send at a steady rate whatever comes back; a request that must wait for a connection waits on the clock."""
    run = _Run(port)
    free: deque[_Connection] = deque()
    late: deque[tuple[int, bytes, float]] = deque()
    finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def replied(connection: _Connection, reply: Reply) -> None:
        run.replies.append(reply)
        if late:
            connection.send(*late.popleft())
        else:
            free.append(connection)
        if len(run.replies) == len(requests) and not finished.done():
            finished.set_result(None)

    def send_what_is_due(start: float, sent: int) -> int:
        while sent < len(requests) and (due := start + sent / rate) <= (now := time.perf_counter()):
            if free:
                # In turn: the server closes connections that have nothing to say for long.
                free.popleft().send(sent, requests[sent], due, now - due)
            else:
                late.append((sent, requests[sent], due))
            sent += 1
        return sent

    free.extend(await run.open(connections, replied))
    try:
        with _no_pauses():
            start, sent = time.perf_counter(), 0
            while sent < len(requests) and not run.failure.done():
                sent = send_what_is_due(start, sent)
                await asyncio.sleep(max(0.0, start + sent / rate - time.perf_counter()))
            await asyncio.wait([finished, run.failure], return_when=asyncio.FIRST_COMPLETED)
        if run.failure.done():
            run.failure.result()
    finally:
        run.close()
    return run.replies


@asynccontextmanager
async def slow_connections(port: int, count: int) -> AsyncIterator[None]:
    """Connections that send a head a few bytes at a time and never end it; closed ones are opened again."""
    ended = asyncio.Event()

    async def dawdle() -> None:
        while not ended.is_set():
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"POST /r/aaaaaaaaaaaaaaaaaaaaaa HTTP/1.1\r\nhost: x\r\n")
                while not ended.is_set() and not writer.is_closing():
                    writer.write(b"x-a: b\r\n")
                    await asyncio.sleep(1)
                writer.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(dawdle())
        await asyncio.sleep(1)
        try:
            yield
        finally:
            ended.set()


def quantile(values: Iterable[float], q: float) -> float:
    """The value that this share of all does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * q))]
