"""Patience of the HTTP server, and its fast lane, over real sockets."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

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


# -- the lane --


def answer_with(response: bytes | None, seen: list[Any] | None = None) -> Callable[..., bool]:
    def take(request: Whole, reply: Reply) -> bool:
        if seen is not None:
            seen.append((request.url, dict(request.headers), request.body))
        asyncio.get_running_loop().call_soon(reply, response)
        return True

    return take


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
