"""One connection to a provider: what of a reply counts, and when the next request may use it."""

import asyncio

import pytest

from services.notifier.channels.http_call import _target, _written
from services.notifier.channels.http_connections import (
    MOST_BODY,
    BrokenError,
    Connection,
    Connections,
    Place,
    Reply,
    UnreachableError,
)

YES = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Wire(asyncio.Transport):
    """A transport that keeps what was written and tells when it is cut."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self.written = b""
        self.is_open = True
        connection.connection_made(self)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def abort(self) -> None:
        self.is_open = False


async def reply_to(*parts: bytes, seconds: float = 60, closes: bool = False) -> tuple[Reply | BrokenError, Connection]:
    """What comes of one request that is answered with these bytes."""
    connection = Connection()
    wire = Wire(connection)
    waiting = asyncio.create_task(connection.exchange(b"ask", asyncio.get_running_loop().time() + seconds))
    await asyncio.sleep(0)
    assert wire.written == b"ask"
    for part in parts:
        connection.data_received(part)
    if closes:
        connection.connection_lost(None)
    try:
        return await waiting, connection
    except BrokenError as error:
        return error, connection


@pytest.mark.parametrize("cut", range(1, len(YES)))
async def test_a_reply_is_the_same_wherever_it_is_cut(cut: int) -> None:
    reply, connection = await reply_to(YES[:cut], YES[cut:])
    assert reply == Reply(200, None, b"{}")
    assert connection.is_usable


async def test_what_only_announces_a_reply_is_none() -> None:
    reply, _ = await reply_to(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 102 Processing\r\n\r\n", YES)
    assert reply == Reply(200, None, b"{}")


async def test_a_body_without_a_length_ends_with_the_connection() -> None:
    reply, connection = await reply_to(
        b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 17\r\n\r\n", b"wait", closes=True
    )
    assert reply == Reply(429, "17", b"wait")
    assert not connection.is_usable


async def test_a_body_in_chunks_is_put_together() -> None:
    chunks = b"HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    assert (await reply_to(chunks))[0] == Reply(400, None, b"abcde")


async def test_a_status_counts_though_time_is_up_before_the_body() -> None:
    reply, connection = await reply_to(b"HTTP/1.1 202 Accepted\r\nContent-Length: 10\r\n\r\nhalf", seconds=0.01)
    assert reply == Reply(202, None, b"half")
    assert not connection.is_usable


async def test_a_body_is_read_so_far_and_no_further() -> None:
    reply, connection = await reply_to(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (MOST_BODY + 1))
    assert isinstance(reply, Reply)
    assert len(reply.body) == MOST_BODY
    assert not connection.is_usable


@pytest.mark.parametrize(
    ("parts", "closes", "why"),
    [
        ((), True, "disconnected"),
        ((b"HTTP/1.1 200 OK\r\nContent-Le",), True, "disconnected"),
        ((), False, "timeout"),
        ((b"what?\r\n\r\n",), False, "no_http"),
        ((b"HTTP/1.1 200 OK\r\n" + b"x-more: 1\r\n" * 20_000,), False, "too_long"),
        ((b"HTTP/1.1 100 Continue\r\n\r\n",), True, "disconnected"),
        ((b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",), False, "no_http"),
    ],
)
async def test_without_a_status_nobody_knows_whether_the_request_was_taken(
    parts: tuple[bytes, ...], closes: bool, why: str
) -> None:
    broken, connection = await reply_to(*parts, closes=closes, seconds=60 if parts or closes else 0.01)
    assert isinstance(broken, BrokenError)
    assert str(broken) == why
    assert not connection.is_usable


@pytest.mark.parametrize(
    "after",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        YES + YES,
        YES + b"HTTP",
    ],
)
async def test_a_connection_that_closes_or_says_more_than_it_was_asked_is_not_used_again(after: bytes) -> None:
    reply, connection = await reply_to(after)
    assert isinstance(reply, Reply)
    assert reply.status == 200
    assert not connection.is_usable


async def test_bytes_on_an_idle_connection_spoil_it() -> None:
    _, connection = await reply_to(YES)
    connection.data_received(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
    assert not connection.is_usable


async def test_an_address_that_takes_no_connection_leaves_time_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    tried = []

    async def connect(make: type[Connection], address: str, *_: object, **__: object) -> tuple[Wire, Connection]:
        if not address.startswith("192.0.2."):  # a client of another test that shares the loop
            raise OSError("nothing but this test connects now")
        tried.append(address)
        if address == "192.0.2.1":
            await asyncio.Event().wait()
        connection = make()
        return Wire(connection), connection

    async def resolve(*_: object, **__: object) -> list[tuple[object, ...]]:
        return [(0, 0, 0, "", (address, 443)) for address in ("192.0.2.1", "192.0.2.2")]

    monkeypatch.setattr(loop, "create_connection", connect)
    monkeypatch.setattr(loop, "getaddrinfo", resolve)
    with pytest.raises(BrokenError, match="timeout"):
        await Connections(keep=True).exchange(Place("gateway.example", 443, "gateway.example", None), b"ask", 0.06)
    assert tried == ["192.0.2.1", "192.0.2.2"]


async def test_a_name_that_nobody_knows_is_looked_up_again_for_the_next_call(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    async def resolve(host: str, *_: object, **__: object) -> list[tuple[object, ...]]:
        asked.append(host)
        raise OSError("no such name")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    connections, place = Connections(keep=True), Place("gateway.example", 443, "gateway.example", None)
    for _ in range(2):
        with pytest.raises(UnreachableError):
            await connections.exchange(place, b"ask", 1)
    assert asked == ["gateway.example"] * 2


@pytest.mark.parametrize("value", ["a\r\nX-Other: b", "a\nb", "a\0b"])
def test_no_header_becomes_two(value: str) -> None:
    with pytest.raises(ValueError, match="line break"):
        _written(_target("https://gateway.example/messages"), {"Idempotency-Key": value}, b"{}")


def test_a_request_names_its_host_and_length_and_what_stands_in_the_address() -> None:
    target = _target("https://us:secret@gateway.example:8443/a%2Fb?c=d")
    assert _written(target, {"X": "å"}, b"{}").decode() == (
        "POST /a%2Fb?c=d HTTP/1.1\r\nUser-Agent: kvittera\r\nAccept: */*\r\n"
        "Authorization: Basic dXM6c2VjcmV0\r\nHost: gateway.example:8443\r\nX: å\r\nContent-Length: 2\r\n\r\n{}"
    )
