"""The demo's one origin: what it passes on arrives as it was sent."""

from aiohttp import web
from aiohttp.test_utils import TestServer
from starlette.applications import Starlette
from starlette.routing import Route

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
