"""Patience of the HTTP server, and which messages it refuses, over real sockets."""

import asyncio
from typing import Any

import orjson
import pytest

from services.chassis.http_protocol import Lane, Limits, Reply, Whole
from tests.raw_http import QUICK, SHORT, answer_with, post, server

ODD_HEADS = {
    "two lengths": b"content-length: 7\r\ncontent-length: 9\r\n",
    "the same length twice": b"content-length: 7\r\ncontent-length: 7\r\n",
    "a length beside pieces": b"content-length: 7\r\ntransfer-encoding: chunked\r\n",
    "pieces of no known kind": b"transfer-encoding: xchunked\r\n",
    "a length behind a space": b"content-length : 7\r\n",
    "a length with a sign": b"content-length: +7\r\n",
    "a folded line": b"x: a\r\n b\r\ncontent-length: 7\r\n",
    "bare line ends": b"content-length: 7\n",
}


@pytest.mark.parametrize("head", ODD_HEADS.values(), ids=ODD_HEADS)
@pytest.mark.parametrize("path", [b"/quick", b"/"])
async def test_a_message_that_two_readers_may_end_at_different_places_is_refused(head: bytes, path: bytes) -> None:
    taken: list[bytes] = []

    def take(request: Whole, reply: Reply) -> bool:
        taken.append(request.body)
        reply(QUICK)
        return True

    async with server(Lane(b"POST", b"/quick", take)) as connect:
        client = await connect(b"POST " + path + b" HTTP/1.1\r\nhost: x\r\n" + head + b"\r\nscore=4")
        told = await client.end()
    assert told.startswith(b"HTTP/1.1 400 ")
    assert told.count(b"HTTP/1.1") == 1
    assert taken == []


HOSTS = {
    "none": b"",
    "two": b"host: a.example\r\nhost: b.example\r\n",
    "the same twice": b"Host: a.example\r\nhost: a.example\r\n",
    "a path": b"host: a.example/r\r\n",
    "a user": b"host: me@a.example\r\n",
    "two names": b"host: a.example b.example\r\n",
}


@pytest.mark.parametrize("host", HOSTS.values(), ids=HOSTS)
@pytest.mark.parametrize("start", [b"POST /quick", b"GET /quick", b"POST /", b"GET /health/live"])
async def test_a_request_that_does_not_name_one_host_is_refused_with_a_problem_document(
    start: bytes, host: bytes
) -> None:
    taken: list[Any] = []
    lanes = [Lane(method, b"/quick", answer_with(QUICK, taken)) for method in (b"POST", b"GET")]
    async with server(*lanes) as connect:
        client = await connect(start + b" HTTP/1.1\r\n" + host + b"content-length: 0\r\n\r\n")
        told = await client.end()
    head, _, body = told.partition(b"\r\n\r\n")
    assert head.split(b"\r\n") == [
        b"HTTP/1.1 400 Bad Request",
        b"content-type: application/problem+json",
        b"content-length: 137",
        b"cache-control: no-store",
        b"x-content-type-options: nosniff",
        b"connection: close",
    ]
    assert orjson.loads(body) == {
        "type": "about:blank",
        "title": "Invalid HTTP request received.",
        "status": 400,
        "detail": "HTTP/1.1 asks for one Host line with a name in it",
    }
    assert taken == []


@pytest.mark.parametrize("host", [b"", b"a.example", b"127.0.0.1:8080", b"[::1]:80", b"xn--k-vita_1.example"])
async def test_any_host_that_may_be_written_is_answered(host: bytes) -> None:
    async with server() as connect:
        client = await connect(b"GET / HTTP/1.1\r\nhost: " + host + b"\r\n\r\n")
        assert await client.reply() == (200, b"GET / ")


async def test_who_speaks_http_1_0_need_not_name_a_host_but_never_two() -> None:
    async with server() as connect:
        none = await connect(b"GET / HTTP/1.0\r\n\r\n")
        assert await none.reply() == (200, b"GET / ")
        two = await connect(b"GET / HTTP/1.0\r\nhost: a\r\nhost: b\r\n\r\n")
        assert (await two.end()).startswith(b"HTTP/1.1 400 ")


async def test_a_stranger_who_asks_for_a_websocket_is_answered_as_anybody_and_noted_nowhere(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with server() as connect:
        client = await connect(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
        assert await client.reply() == (200, b"GET / ")
    assert [record for record in caplog.records if record.levelname != "INFO"] == []


# -- patience --


@pytest.mark.parametrize("sent", [b"", b"POST /", b"GET / HTTP/1.1\r\nhost: x\r\nx-a: b\r\n"])
async def test_a_connection_whose_head_never_ends_is_closed_without_an_answer(sent: bytes) -> None:
    async with server(limits=SHORT) as connect:
        client = await connect(sent)
        assert await client.end() == b""


async def test_a_drip_of_header_lines_buys_no_time() -> None:
    async with server(limits=SHORT) as connect:
        client = await connect(b"GET / HTTP/1.1\r\n")

        async def drip() -> None:
            while True:
                client.send(b"x-a: b\r\n")
                await asyncio.sleep(0.02)

        dripping = asyncio.create_task(drip())
        assert await client.end() == b""
        dripping.cancel()


async def test_a_body_that_never_ends_closes_the_connection_whatever_the_application_waits_for() -> None:
    async with server(limits=SHORT) as connect:
        client = await connect(post("/other", b"")[:-4].replace(b"length: 0", b"length: 9") + b"\r\n\r\nhalf")
        assert await client.end() == b""


async def test_a_head_without_measure_is_cut_off() -> None:
    async with server(limits=Limits(head_seconds=60)) as connect:
        client = await connect(b"GET / HTTP/1.1\r\nx: " + b"a" * 100_000)
        assert await client.end() == b""


async def test_a_kept_connection_is_served_again_and_closed_when_idle() -> None:
    lane = Lane(b"POST", b"/r/", answer_with(QUICK))
    async with server(lane, limits=SHORT) as connect:
        client = await connect(post("/r/a", b"1"))
        assert await client.reply() == (200, b"quick")
        client.send(post("/r/a", b"2"))
        assert await client.reply() == (200, b"quick")
        assert await client.end() == b""


async def test_who_answers_slowly_is_not_taken_for_a_slow_client() -> None:
    def later(_: Whole, reply: Reply) -> bool:
        asyncio.get_running_loop().call_later(1.0, reply, QUICK)
        return True

    async with server(Lane(b"POST", b"/r/", later), limits=SHORT) as connect:
        client = await connect(post("/r/a", b"1"))
        assert await client.reply() == (200, b"quick")
