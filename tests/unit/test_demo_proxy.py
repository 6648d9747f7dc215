"""The demo's one origin: what it passes on arrives as it was sent."""

from collections.abc import Iterator

from aiohttp import web
from aiohttp.test_utils import TestServer
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import Message

from services.demo.proxy import Proxy
from tests.asgi import ask


async def test_path_and_query_reach_the_service_to_the_letter() -> None:
    seen: list[str] = []

    async def echo(request: web.Request) -> web.Response:
        seen.append(request.raw_path)
        return web.Response(text="ok")

    service = web.Application()
    service.router.add_get("/{any:.*}", echo)
    async with TestServer(service, host="127.0.0.1") as server:
        proxy = Proxy({"survey": f"http://127.0.0.1:{server.port}", "aggregator": f"http://127.0.0.1:{server.port}"})
        front = Starlette(routes=[Route("/{path:path}", proxy.pass_on)])
        reply = await ask(front, "GET", "/praise?after=2026-11-24T13%3A00%3A00%2B00%3A00+3ad0&terminal=%C3%85rsta")
        await ask(front, "GET", "/terminals/%C3%85rsta%2FS%C3%B6der")
        await proxy.close()
    assert reply.status == 200
    assert seen == [
        "/praise?after=2026-11-24T13%3A00%3A00%2B00%3A00+3ad0&terminal=%C3%85rsta",
        "/terminals/%C3%85rsta%2FS%C3%B6der",
    ]


async def test_an_answer_that_sets_two_cookies_sets_both() -> None:
    async def answer(_: web.Request) -> web.Response:
        reply = web.Response(text="ok")
        reply.set_cookie("first", "1")
        reply.set_cookie("second", "2")
        return reply

    service = web.Application()
    service.router.add_get("/{any:.*}", answer)
    async with TestServer(service, host="127.0.0.1") as server:
        proxy = Proxy({"survey": f"http://127.0.0.1:{server.port}"})
        reply = await proxy.pass_on(asked("GET", iter(())))
        await proxy.close()
    cookies = [value for name, value in reply.raw_headers if name == b"set-cookie"]
    assert cookies == [b"first=1; Path=/", b"second=2; Path=/"]


async def test_no_more_is_read_of_a_body_than_any_page_of_ours_sends() -> None:
    pieces = iter([bytes(16 * 1024)] * 5)
    reply = await Proxy({"survey": "http://127.0.0.1:1"}).pass_on(asked("POST", pieces))
    assert (reply.status_code, list(pieces)) == (413, [])


def asked(method: str, pieces: Iterator[bytes]) -> Request:
    """A request whose body goes on without end."""

    async def receive() -> Message:
        return {"type": "http.request", "body": next(pieces, b""), "more_body": method == "POST"}

    head = {
        "type": "http",
        "method": method,
        "path": "/staff",
        "raw_path": b"/staff",
        "query_string": b"",
        "headers": [],
    }
    return Request(head, receive)
