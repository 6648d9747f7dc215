"""Rows 10 and 11: who sends slowly or without end holds neither others nor memory."""

import asyncio
import contextlib
import statistics
import time
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from services.chassis.http import serve
from services.chassis.http_protocol import Limits
from services.embedded.ports import free_port
from services.survey import bodies
from services.survey.answers.responses import Rejected

SOCKETS = 500
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

    with pytest.raises(Rejected, match="16 KiB"):
        await bodies.read_body(FORM, without_end, bodies.FORM)
    assert read <= 16 * 1024 + len(piece)


async def test_a_packed_body_is_never_unpacked() -> None:
    packed = b"\x1f\x8b\x08\x00" + b"\x00" * 100

    async def once() -> dict[str, Any]:
        return {"type": "http.request", "body": packed, "more_body": False}

    assert await bodies.read_body({**FORM, "content-encoding": "gzip"}, once, bodies.FORM) == packed
