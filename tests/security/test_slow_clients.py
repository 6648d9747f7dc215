"""Rows 10 and 11: who sends slowly or without end, or never reads, holds neither others nor memory."""

import asyncio
import contextlib
import socket
import statistics
import time
from typing import Any

import orjson
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from services.aggregator.http import routes
from services.aggregator.live.scope import Scope as LiveScope
from services.aggregator.live.scopes import LiveScopes
from services.chassis.http import make_app, serve
from services.chassis.http_protocol import HttpProtocol, Limits
from services.chassis.metrics import Metrics
from services.embedded.ports import free_port
from services.survey import bodies
from services.survey.answers.responses import Rejected
from tests.members import HeaderGate

SOCKETS = 500
CHANGES = 200
PATIENCE = 1.0
FORM = {"content-type": bodies.FORM}


async def reads_forms(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads as the survey does."""
    try:
        await bodies.read_body(Request(scope).headers, receive, bodies.FORM)
        response = PlainTextResponse("kept")
    except TimeoutError:
        response = PlainTextResponse("slow", 408, {"connection": "close"})
    await response(scope, receive, send)


async def drip(port: int, head: bytes) -> float:
    """Send a head and then a byte every half second; how long the server went along with it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began = time.monotonic()
    writer.write(head)
    with contextlib.suppress(ConnectionError):
        while not reader.at_eof():
            writer.write(b"a")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(reader.read(100), 0.5)
    writer.transport.abort()
    return time.monotonic() - began


async def quick(port: int) -> float:
    """One ordinary answer; the seconds it took."""
    began = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /r/x HTTP/1.1\r\nhost: x\r\ncontent-type: " + bodies.FORM.encode())
    writer.write(b"\r\ncontent-length: 7\r\nconnection: close\r\n\r\nscore=4")
    assert b" 200 OK" in await reader.read()
    writer.close()
    return time.monotonic() - began


async def test_five_hundred_slow_senders_are_closed_and_others_served_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bodies, "_BODY_SECONDS", PATIENCE)
    port, stop = free_port(), asyncio.Event()
    limits = Limits(head_seconds=PATIENCE)
    serving = asyncio.create_task(serve(reads_forms, "127.0.0.1", port, stop, limits=limits))
    while True:
        with contextlib.suppress(ConnectionRefusedError):
            await quick(port)
            break
        await asyncio.sleep(0.02)
    in_head = b"POST /r/x HTTP/1.1\r\nhost: x\r\nx-slow: "
    in_body = in_head + b"1\r\ncontent-type: " + bodies.FORM.encode() + b"\r\ncontent-length: 9999\r\n\r\n"
    dripping = [asyncio.create_task(drip(port, (in_head, in_body)[n % 2])) for n in range(SOCKETS)]
    waits = []
    while not all(task.done() for task in dripping):
        waits.append(await quick(port))
        await asyncio.sleep(0.01)
    held = [await task for task in dripping]
    stop.set()
    await serving
    assert max(held) < PATIENCE + 30  # a look at all connections a second, and a busy machine
    assert statistics.median(waits) < PATIENCE  # others do not wait until the slow are gone; alone, p99 is below 0.3


def test_nobody_is_waited_for_longer_than_ten_seconds() -> None:
    assert Limits().head_seconds + 1 <= 10  # the server looks once a second
    assert bodies._BODY_SECONDS <= 10


@pytest.mark.parametrize("piece", [b"a" * 65536, b"comment=&" * 1000, b"\x1f\x8b" + b"\x00" * 9000])
async def test_of_a_body_without_end_no_more_than_the_limit_is_read(piece: bytes) -> None:
    read = 0

    async def without_end() -> dict[str, Any]:
        nonlocal read
        read += len(piece)
        return {"type": "http.request", "body": piece, "more_body": True}

    with pytest.raises(Rejected, match="32 KiB"):
        await bodies.read_body(FORM, without_end, bodies.FORM)
    assert read <= 32 * 1024 + len(piece)


async def test_a_packed_body_is_never_unpacked() -> None:
    packed = b"\x1f\x8b\x08\x00" + b"\x00" * 100

    async def once() -> dict[str, Any]:
        return {"type": "http.request", "body": packed, "more_body": False}

    assert await bodies.read_body({**FORM, "content-encoding": "gzip"}, once, bodies.FORM) == packed


async def open_events(port: int, *, room: int = 0) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """An event stream of the live page; with `room` the kernel keeps little more than so many bytes for it."""
    own = socket.socket()
    if room:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
    own.setblocking(False)
    await asyncio.get_running_loop().sock_connect(own, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=own, limit=1 << 20)
    writer.write(b"GET /live/events HTTP/1.1\r\nhost: x\r\n\r\n")
    return reader, writer


async def leave(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def read_until(reader: asyncio.StreamReader, answers: int) -> int:
    """Read events until so many answers are told; how many changes were told on the way."""
    changes = 0
    async with asyncio.timeout(30):
        while True:
            line = await reader.readline()
            assert line, "the stream has ended"
            changes += line.startswith(b"event: update")
            if line.startswith(b"data: ") and orjson.loads(line[6:])["total"]["answers"] == answers:
                return changes


def picture(answers: int) -> dict[str, Any]:
    """The widest page: two hundred rows."""
    share = {"share": 0.9, "low": 0.8, "high": 0.95, "n": answers}
    counted = {"satisfied": share, "dissatisfied": share, "satisfied_answers": 8, "answers": 9}
    rows = [{"value": f"Terminal {n}", **counted} for n in range(200)]
    total = {"version": answers, "scores": [0, 0, 0, 0, answers], "answers": answers}
    return {"total": total, "behind": 0, "terminals": {"shown": rows}}


async def test_a_viewer_of_the_live_page_who_reads_nothing_holds_up_nobody_and_little_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connections: list[HttpProtocol] = []
    made = HttpProtocol.connection_made

    def noted(self: HttpProtocol, transport: asyncio.Transport) -> None:
        connections.append(self)
        made(self, transport)

    monkeypatch.setattr(HttpProtocol, "connection_made", noted)
    nothing: Any = None
    port, stop, feeds = free_port(), asyncio.Event(), LiveScopes(nothing, nothing)
    feed = feeds.feed(LiveScope())
    assert feed is not None
    await feed.take(picture(1), 1.0)

    async def ready() -> str | None:
        return None

    app = make_app(routes(nothing, feeds, stop, HeaderGate()), ready=ready, metrics=Metrics())
    serving = asyncio.create_task(serve(app, "127.0.0.1", port, stop))
    while not connections:
        with contextlib.suppress(ConnectionRefusedError):
            await leave((await asyncio.open_connection("127.0.0.1", port))[1])
        await asyncio.sleep(0.02)
    quick, stalled = [await open_events(port) for _ in range(3)], [await open_events(port, room=4096) for _ in range(3)]
    for _, writer in stalled:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
    assert [await read_until(reader, 1) for reader, _ in quick] == [0, 0, 0]
    for answers in range(2, CHANGES + 2):
        await feed.take(picture(answers), float(answers))
        assert [await read_until(reader, answers) for reader, _ in quick] == [1, 1, 1]
    waiting = sorted(c.transport.get_write_buffer_size() for c in connections if not c.transport.is_closing())
    event = len(feed._written["update"][1])
    assert event > 30_000
    assert len([size for size in waiting if size]) == 3
    assert max(waiting) < 64 * 1024 + 2 * event
    # Who reads again gets what had left already, and then the newest numbers.
    reader, writer = stalled[0]
    writer.transport.resume_reading()  # type: ignore[attr-defined]
    again = asyncio.create_task(read_until(reader, CHANGES + 1))
    while not again.done():
        await feed.wake()
        await asyncio.sleep(0.05)
    assert await again < CHANGES
    for _, writer in (*quick, *stalled):
        await leave(writer)
    stop.set()
    await feed.wake()
    async with asyncio.timeout(10):
        await serving
