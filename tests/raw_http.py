"""The HTTP server with an application that says back what it got, and clients that send bytes as they like."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from services.chassis.http import serve
from services.chassis.http_protocol import Lane, Limits, Reply, Whole

QUICK = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nquick"
SHORT = Limits(head_seconds=0.2, request_seconds=0.4, idle_seconds=0.2)


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """An application that answers with the method, the path and the body."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    text = f"{scope['method']} {scope['path']} ".encode() + body
    head = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(text))]}
    await send(head)
    await send({"type": "http.response.body", "body": text})


class Client:
    """One connection that sends bytes as it is told."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, *sent: bytes) -> None:
        for part in sent:
            self.writer.write(part)

    async def reply(self) -> tuple[int, bytes]:
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 60)
        fields = dict(line.split(b": ") for line in head.lower().split(b"\r\n")[1:-2])
        return int(head[9:12]), await self.reader.readexactly(int(fields.get(b"content-length", 0)))

    async def end(self) -> bytes:
        """What still comes until the server closes."""
        try:
            return await asyncio.wait_for(self.reader.read(), 60)
        except ConnectionError:
            return b""


Connect = Callable[..., Awaitable[Client]]


@asynccontextmanager
async def server(*lanes: Lane, limits: Limits = Limits()) -> AsyncIterator[Connect]:  # noqa: B008
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    stop = asyncio.Event()
    serving = asyncio.create_task(serve(echo, "127.0.0.1", port, stop, lanes=lanes, limits=limits))
    clients: list[Client] = []

    async def connect(*sent: bytes) -> Client:
        while True:
            try:
                clients.append(Client(*await asyncio.open_connection("127.0.0.1", port)))
                break
            except ConnectionRefusedError:  # it is only starting
                await asyncio.sleep(0.02)
        clients[-1].send(*sent)
        return clients[-1]

    try:
        yield connect
    finally:
        stop.set()
        await serving
        for client in clients:
            client.writer.transport.abort()
        await asyncio.sleep(0)


def post(path: str, body: bytes, *more: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "host: x", f"content-length: {len(body)}", *more]
    return "\r\n".join([*lines, "", ""]).encode() + body


# -- the lane --


def answer_with(response: bytes | None, seen: list[Any] | None = None) -> Callable[..., bool]:
    def take(request: Whole, reply: Reply) -> bool:
        if seen is not None:
            seen.append((request.url, dict(request.headers), request.body))
        asyncio.get_running_loop().call_soon(reply, response)
        return True

    return take
