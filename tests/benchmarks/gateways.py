"""Gateways as processes of their own, which write down what they accepted: `python -m tests.benchmarks.gateways`.

`http LATENCY BOOK` answers each POST with 200 after so many seconds; `smtp 0 BOOK` takes mails. Each prints
its port, and writes a line per accepted message to BOOK when it is told to end: the moment and our reference.
"""

import asyncio
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, cast

import uvloop

from services.embedded.child import end_child

_REFERENCE = re.compile(rb"\r\nidempotency-key: ([0-9a-f-]{36})\r\n", re.IGNORECASE)
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)
_MESSAGE_ID = re.compile(rb"^Message-ID: <[^>]*?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})@", re.MULTILINE)
_YES = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
Book = list[tuple[float, bytes]]


class _HttpGateway(asyncio.Protocol):
    def __init__(self, latency: float, book: Book) -> None:
        self._latency = latency
        self._book = book
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, end, body = self._buffer.partition(b"\r\n\r\n")
        length, reference = _LENGTH.search(head + b"\r\n"), _REFERENCE.search(head + b"\r\n")
        if not end or length is None or reference is None or len(body) < int(length[1]):
            return
        self._book.append((time.time(), reference[1]))
        self._buffer = body[int(length[1]) :]
        if self._latency:
            asyncio.get_running_loop().call_later(self._latency, self._answer)
        else:
            self._answer()

    def _answer(self) -> None:
        assert self._transport is not None
        if not self._transport.is_closing():
            self._transport.write(_YES)


class _MailGateway(asyncio.Protocol):
    """As quick as a mail server can be, so that it takes no processor from what is measured; it offers PIPELINING."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._buffer = b""
        self._in_content = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(b"220 here\r\n")

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        replies = []
        while True:
            part, end, rest = self._buffer.partition(b"\r\n.\r\n" if self._in_content else b"\r\n")
            if not end:
                break
            self._buffer = rest
            replies.append(self._reply(part))
        if replies and self._transport is not None:
            self._transport.write(b"".join(replies))

    def _reply(self, part: bytes) -> bytes:
        if self._in_content:
            self._in_content = False
            found = _MESSAGE_ID.search(part)
            assert found is not None
            self._book.append((time.time(), found[1]))
            return b"250 kept\r\n"
        self._in_content = part == b"DATA"
        return {b"DATA": b"354 go on\r\n", b"EHLO": b"250-here\r\n250 PIPELINING\r\n"}.get(part[:4], b"250 ok\r\n")


class Gateway(NamedTuple):
    """A gateway that runs."""

    port: int
    pid: int


@contextmanager
def gateway(kind: str, latency: float, book: Path) -> Iterator[Gateway]:
    """Such a process until the end of the block. Then `book` can be read."""
    command = [sys.executable, "-m", "tests.benchmarks.gateways", kind, str(latency), str(book)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield Gateway(int(process.stdout.readline()), process.pid)
    finally:
        end_child(cast("subprocess.Popen[bytes]", process), signal.SIGTERM, 20)


def read_book(book: Path) -> list[tuple[float, str]]:
    """What a gateway accepted, in order."""
    lines = (line.split() for line in book.read_text().splitlines())
    return [(float(at), reference) for at, reference in lines]


async def _run(kind: str, latency: float, file: Path) -> None:
    book: Book = []
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    if kind == "http":
        server = await loop.create_server(lambda: _HttpGateway(latency, book), "127.0.0.1", 0, backlog=2048)
    else:
        server = await loop.create_server(lambda: _MailGateway(book), "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await stop.wait()
    file.write_text("".join(f"{at:.6f} {reference.decode()}\n" for at, reference in book))


if __name__ == "__main__":
    asyncio.Runner(loop_factory=uvloop.new_event_loop).run(_run(sys.argv[1], float(sys.argv[2]), Path(sys.argv[3])))
