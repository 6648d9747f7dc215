"""The fast lane of the HTTP server, over real sockets."""

import asyncio
from typing import Any

import pytest

from services.chassis.http_protocol import Lane, Limits, Reply, Whole
from tests.raw_http import QUICK, answer_with, post, server


async def test_the_lane_gets_whole_posts_under_its_path_and_its_bytes_are_the_reply() -> None:
    seen: list[Any] = []
    async with server(Lane(b"POST", b"/r/", answer_with(QUICK, seen))) as connect:
        client = await connect(post("/r/abc?x=1", b"score=4", "Accept: application/json"))
        assert await client.reply() == (200, b"quick")
    headers = {b"host": b"x", b"content-length": b"7", b"accept": b"application/json"}
    assert seen == [(b"/r/abc?x=1", headers, b"score=4")]


async def test_what_the_lane_leaves_or_gives_back_later_reaches_the_application_whole() -> None:
    for take in (answer_with(None), lambda *_: False):
        async with server(Lane(b"POST", b"/r/", take)) as connect:
            client = await connect(post("/r/abc", b"score=4"))
            assert await client.reply() == (200, b"POST /r/abc score=4")
            client.send(post("/r/def", b"score=5"))
            assert await client.reply() == (200, b"POST /r/def score=5")


@pytest.mark.parametrize(
    "parts",
    [
        (b"GET /r/abc HTTP/1.1\r\nhost: x\r\n\r\n",),
        (post("/other", b"score=4"),),
        (post("/r/abc", b"score=4", "expect: 100-continue"),),
        (post("/r/abc", b"score=4", "connection: close"),),
        (post("/r/abc", b"score=4").replace(b"HTTP/1.1", b"HTTP/1.0"),),
    ],
)
async def test_unusual_requests_are_the_application_s(parts: tuple[bytes, ...]) -> None:
    seen: list[Any] = []
    async with server(Lane(b"POST", b"/r/", answer_with(QUICK, seen))) as connect:
        client = await connect(*parts)
        status, _ = await client.reply()
    assert status in {100, 200}
    assert seen == []


async def test_a_body_in_pieces_is_the_application_s() -> None:
    seen: list[Any] = []
    async with server(Lane(b"POST", b"/r/", answer_with(QUICK, seen))) as connect:
        client = await connect(post("/r/abc", b"score=4")[:-3])
        await asyncio.sleep(0.1)
        client.send(b"e=4")
        assert await client.reply() == (200, b"POST /r/abc score=4")
    assert seen == []


async def test_a_request_that_comes_before_the_reply_waits_for_it() -> None:
    replies: list[Reply] = []

    def hold(_: Whole, reply: Reply) -> bool:
        replies.append(reply)
        return True

    async with server(Lane(b"POST", b"/r/", hold)) as connect:
        client = await connect(post("/r/a", b"1"))
        while not replies:
            await asyncio.sleep(0.01)
        client.send(b"GET /next HTTP/1.1\r\nhost: x\r\n\r\n")
        await asyncio.sleep(0.1)
        replies[0](QUICK)
        assert await client.reply() == (200, b"quick")
        assert await client.reply() == (200, b"GET /next ")


async def test_two_requests_in_one_piece_are_refused_before_any_is_taken() -> None:
    seen: list[Any] = []
    async with server(Lane(b"POST", b"/r/", answer_with(QUICK, seen))) as connect:
        client = await connect(post("/r/a", b"1") + post("/r/a", b"2"))
        status, _ = await client.reply()
    assert (status, seen) == (400, [])


async def test_a_lane_for_looks_gets_whole_gets_under_its_path() -> None:
    seen: list[Any] = []
    lanes = Lane(b"POST", b"/r/", answer_with(QUICK)), Lane(b"GET", b"/r/", answer_with(QUICK, seen))
    async with server(*lanes) as connect:
        client = await connect(b"GET /r/abc?s=4 HTTP/1.1\r\nhost: x\r\n\r\n")
        assert await client.reply() == (200, b"quick")
        client.send(b"HEAD /r/abc HTTP/1.1\r\nhost: x\r\n\r\n", b"GET /other HTTP/1.1\r\nhost: x\r\n\r\n")
        head = await client.reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        assert await client.reply() == (200, b"GET /other ")
    assert seen == [(b"/r/abc?s=4", {b"host": b"x"}, b"")]


async def test_two_looks_in_one_piece_are_the_application_s_in_their_order() -> None:
    seen: list[Any] = []
    async with server(Lane(b"GET", b"/r/", answer_with(QUICK, seen))) as connect:
        client = await connect(b"".join(b"GET /r/%d HTTP/1.1\r\nhost: x\r\n\r\n" % n for n in (1, 2, 3)))
        assert [await client.reply() for _ in range(3)] == [(200, b"GET /r/%d " % n) for n in (1, 2, 3)]
        client.send(b"GET /r/4 HTTP/1.1\r\nhost: x\r\n\r\n")
        assert await client.reply() == (200, b"quick")
    assert [url for url, _, _ in seen] == [b"/r/4"]


async def test_who_reads_a_long_reply_slowly_gets_all_of_it() -> None:
    long = b"HTTP/1.1 200 OK\r\ncontent-length: 9000000\r\n\r\n" + bytes(9_000_000)

    def take(_: Whole, reply: Reply) -> bool:
        asyncio.get_running_loop().call_soon(reply, long)
        return True

    async with server(Lane(b"GET", b"/r/", take), limits=Limits(0.2, 5, 0.2)) as connect:
        client = await connect(b"GET /r/abc HTTP/1.1\r\nhost: x\r\n\r\n")
        await asyncio.sleep(0.6)
        status, body = await client.reply()
    assert (status, len(body)) == (200, 9_000_000)


async def test_a_reply_under_way_is_given_before_the_server_ends() -> None:
    replies: list[Reply] = []

    def hold(_: Whole, reply: Reply) -> bool:
        replies.append(reply)
        asyncio.get_running_loop().call_later(0.5, reply, QUICK)
        return True

    async with server(Lane(b"POST", b"/r/", hold)) as connect:
        client = await connect(post("/r/a", b"1"))
        while not replies:
            await asyncio.sleep(0.01)
    assert await client.reply() == (200, b"quick")
    assert await client.end() == b""


async def test_a_client_that_left_disturbs_nobody() -> None:
    replies: list[Reply] = []

    def hold(_: Whole, reply: Reply) -> bool:
        replies.append(reply)
        return True

    async with server(Lane(b"POST", b"/r/", hold)) as connect:
        client = await connect(post("/r/a", b"1"))
        while not replies:
            await asyncio.sleep(0.01)
        client.writer.transport.abort()
        await asyncio.sleep(0.1)
        replies[0](None)
        other = await connect(b"GET /next HTTP/1.1\r\nhost: x\r\n\r\n")
        assert await other.reply() == (200, b"GET /next ")
