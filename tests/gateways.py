"""A provider's server by hand: it keeps what it was told and answers as the script says, byte by byte."""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus

Act = Callable[["Gateway", asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Called:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Gateway:
    """The server's book and its script: acts in turn, the last one for ever."""

    script: list[Act]
    port: int = 0
    calls: list[Called] = field(default_factory=list)
    connections: int = 0

    def act(self) -> Act:
        """What to do with the newest call."""
        return self.script[min(len(self.calls), len(self.script)) - 1]


def answer(status: int, body: str = "{}", **headers: str) -> Act:
    """Answer so."""

    async def act(_: Gateway, writer: asyncio.StreamWriter) -> None:
        told = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        raw = body.encode()
        head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: application/json\r\n{told}"
        writer.write(f"{head}content-length: {len(raw)}\r\n\r\n".encode() + raw)
        await writer.drain()

    return act


async def hang(_: Gateway, writer: asyncio.StreamWriter) -> None:
    """Take the request and say nothing."""
    del writer
    await asyncio.Event().wait()


async def reset(_: Gateway, writer: asyncio.StreamWriter) -> None:
    """Take the request and break the connection."""
    raw: socket.socket = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.close()


async def babble(_: Gateway, writer: asyncio.StreamWriter) -> None:
    """Answer what is no HTTP."""
    writer.write(b"what?\r\n\r\n")
    await writer.drain()
    writer.close()


async def drip(_: Gateway, writer: asyncio.StreamWriter) -> None:
    """Begin an answer that never ends."""
    writer.write(b"HTTP/1.1 200 OK\r\n")
    with contextlib.suppress(OSError):
        while True:
            writer.write(b"x-more: 1\r\n")
            await writer.drain()
            await asyncio.sleep(0.05)


async def flood(_: Gateway, writer: asyncio.StreamWriter) -> None:
    """Say yes, with a body that never ends."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n")
    with contextlib.suppress(OSError):
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()


@asynccontextmanager
async def gateway(*script: Act, tls: ssl.SSLContext | None = None) -> AsyncIterator[Gateway]:
    """Such a server on a port of its own, until the end of the block."""
    book = Gateway(list(script))
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        book.connections += 1
        try:
            while (call := await _read(reader)) is not None:
                book.calls.append(call)
                await book.act()(book, writer)
        except (asyncio.CancelledError, OSError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    book.port = server.sockets[0].getsockname()[1]
    try:
        yield book
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _read(reader: asyncio.StreamReader) -> Called | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    method, path, _ = first.split(" ")
    return Called(method, path, headers, await reader.readexactly(int(headers.get("content-length", "0"))))
