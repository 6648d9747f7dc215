"""The demo's own web server: the page, its events and buttons, and the services behind one origin."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from schemas.disruption import DisruptionKind
from services.chassis.failures import MustStop, TryAgain
from services.chassis.http import json_response, make_app, problem, serve
from services.chassis.metrics import Metrics
from services.chassis.postgres import tables_of
from services.demo.messages import gallery_routes
from services.demo.page import asset, render_page
from services.demo.place import port_taken
from services.demo.proxy import Proxy
from services.demo.runtime import Demo
from services.demo.scene import Scene
from services.notifier.explaining import explain
from services.notifier.stored import stored_decision

_FASTEST = 500
_READ = ["GET", "HEAD"]


@asynccontextmanager
async def page_server(demo: Demo, stop: asyncio.Event, say: Callable[[str], None]) -> AsyncIterator[None]:
    """Serve the page while the demo runs.

    Raises:
        MustStop: the port is taken; says how to choose another.
    """
    proxy = Proxy(demo.supervisor.urls)
    scene = Scene(demo)
    app = make_app(_routes(demo, scene, proxy, stop), ready=_always_ready, metrics=Metrics())
    serving = asyncio.create_task(serve(app, demo.settings.http_host, demo.options.port, stop))
    following = asyncio.create_task(_follow_when_ready(demo, scene, stop, say))
    for task in (serving, following):  # a page that stands still is worse than none
        task.add_done_callback(lambda _: stop.set())
    try:
        yield
    finally:
        stop.set()
        results = await asyncio.gather(serving, following, return_exceptions=True)
        await proxy.close()
    if isinstance(results[0], MustStop):
        raise MustStop(port_taken(demo.options.port)) from None
    for result in results:
        if isinstance(result, BaseException):
            raise result


async def _follow_when_ready(demo: Demo, scene: Scene, stop: asyncio.Event, say: Callable[[str], None]) -> None:
    while not demo.delivering.is_set():
        if stop.is_set():
            return
        await asyncio.sleep(0.05)
    say(f"[bold]Kvittera runs:[/bold] http://127.0.0.1:{demo.options.port}  (Ctrl-C ends it, the data stays)")
    await scene.run(stop)


async def _always_ready() -> str | None:
    return None


def _routes(demo: Demo, scene: Scene, proxy: Proxy, stop: asyncio.Event) -> list[Route]:
    async def page(_: Request) -> Response:
        body, headers = render_page()
        return Response(body, headers=headers)

    async def file(request: Request) -> Response:
        found = asset(request.path_params["name"])
        return problem(404, "No such file") if found is None else Response(found[0], media_type=found[1])

    async def events(_: Request) -> Response:
        return StreamingResponse(
            _events(scene, stop), media_type="text/event-stream", headers={"cache-control": "no-store"}
        )

    async def why(request: Request) -> Response:
        delivery = request.path_params["delivery"]
        async with tables_of(demo.settings, "notifier") as connection:
            told = await stored_decision(connection, delivery)
        if told is None:
            return problem(404, "Nothing was decided about this delivery")
        words = "\n".join((f"$ kvittera policy explain --delivery {delivery}", "", *explain(told), ""))
        return Response(words, media_type="text/plain; charset=utf-8", headers={"x-content-type-options": "nosniff"})

    return [
        Route("/", page, methods=_READ),
        Route("/demo/why/{delivery}", why, methods=_READ),
        Route("/demo/assets/{name:path}", file, methods=_READ),
        Route("/demo/events", events, methods=_READ),
        *_buttons(demo),
        *gallery_routes(demo.settings),
        Route("/{path:path}", proxy.pass_on, methods=["GET", "HEAD", "POST"]),
    ]


async def _events(scene: Scene, stop: asyncio.Event) -> AsyncIterator[bytes]:
    while not stop.is_set():
        yield b"event: state\ndata: " + orjson.dumps(scene.state()) + b"\n\n"
        await asyncio.sleep(0.5)


def _ours(press: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Presses a button unless a browser says that a page of another site wants it pressed."""

    async def checked(request: Request) -> Response:
        if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return problem(403, "Only the demo's own page presses its buttons")
        return await press(request)

    return checked


def _buttons(demo: Demo) -> list[Route]:
    async def rate(request: Request) -> Response:
        wanted = (await _body(request)).get("rate")
        if not isinstance(wanted, int | float) or isinstance(wanted, bool) or not 0 < wanted <= _FASTEST:
            return problem(422, f"rate is a number above 0, up to {_FASTEST}")
        demo.upstream.rate = float(wanted)
        return json_response({"rate": wanted})

    async def rain(request: Request) -> Response:
        on = (await _body(request)).get("on") is True
        demo.town.raining = on
        await demo.upstream.tell(DisruptionKind.WEATHER, on=on)
        return json_response({"raining": on})

    async def strike(request: Request) -> Response:
        on = (await _body(request)).get("on") is True
        await demo.upstream.tell(DisruptionKind.STRIKE, on=on)
        return json_response({"striking": on})

    async def night(request: Request) -> Response:
        demo.town.night = (await _body(request)).get("on") is True
        return json_response({"night": demo.town.night})

    async def aggregator(request: Request) -> Response:
        try:
            if (await _body(request)).get("run") is True:
                demo.supervisor.release("aggregator")
            else:
                demo.supervisor.hold("aggregator")
        except TryAgain as error:
            return problem(409, str(error))
        return json_response({"running": demo.supervisor.running()})

    return [
        Route("/demo/rate", _ours(rate), methods=["POST"]),
        Route("/demo/rain", _ours(rain), methods=["POST"]),
        Route("/demo/strike", _ours(strike), methods=["POST"]),
        Route("/demo/night", _ours(night), methods=["POST"]),
        Route("/demo/aggregator", _ours(aggregator), methods=["POST"]),
    ]


async def _body(request: Request) -> dict[str, object]:
    try:
        found = json.loads(await request.body())
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
