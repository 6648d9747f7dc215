"""HTTP: one server in the service's own loop, health, metrics, problem documents (RFC 9457)."""

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, cast

import orjson
import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from services.chassis.failures import MustStop
from services.chassis.http_protocol import HttpProtocol, Lane, Limits
from services.chassis.metrics import Metrics

Ready = Callable[[], Awaitable[str | None]]
"""None when the service can do its work now, otherwise one sentence that says what is missing."""
AsgiApp = Callable[..., Awaitable[None]]
NO_GUESSING = {"x-content-type-options": "nosniff"}
"""A browser takes the reply for what it says to be, and never for a page."""


def problem(status: int, title: str, detail: str = "", **more: Any) -> Response:
    """A problem document: what went wrong, for people and programs, without echoing input."""
    body = {
        "type": "about:blank",
        "title": title,
        "status": status,
        **({"detail": detail} if detail else {}),
        **more,
    }
    return Response(
        orjson.dumps(body),
        status,
        media_type="application/problem+json",
        headers={"cache-control": "no-store", **NO_GUESSING},
    )


def json_response(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """JSON, compact."""
    about = {**NO_GUESSING, **(headers or {})}
    return Response(orjson.dumps(content), status, media_type="application/json", headers=about)


def make_app(routes: Sequence[BaseRoute], *, ready: Ready, metrics: Metrics) -> Starlette:
    """The service's routes with health, metrics and problem documents around them."""

    async def live(_: Request) -> Response:
        return json_response({"status": "live"})

    async def readiness(_: Request) -> Response:
        missing = await ready()
        return json_response({"status": "ready"}) if missing is None else problem(503, "Not ready", missing)

    async def show_metrics(_: Request) -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    async def on_http_error(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return problem(error.status_code, error.detail)

    async def on_gone(_: Request, __: Exception) -> Response:
        return problem(400, "The request ended early")  # nobody reads it, and it is no fault of ours to be logged

    async def on_error(_: Request, __: Exception) -> Response:
        return problem(500, "Something went wrong on our side")

    application = Starlette(
        routes=[
            Route("/health/live", live),
            Route("/health/ready", readiness),
            Route("/metrics", show_metrics),
            *routes,
        ],
        exception_handlers={HTTPException: on_http_error, ClientDisconnect: on_gone, 500: on_error},
    )
    # It would lead from `/cases/` to wherever the `Host` header says, and behind a proxy away from https.
    application.router.redirect_slashes = False
    return application


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the lifecycle's business, not the server's."""
        yield


async def serve(
    app: AsgiApp,
    host: str,
    port: int,
    stop: asyncio.Event,
    *,
    lanes: Sequence[Lane] = (),
    limits: Limits = Limits(),  # noqa: B008  frozen
) -> None:
    """Serve until stopped; open event streams get two seconds to end (dep 31).

    Raises:
        MustStop: the port is taken.
    """
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=cast("type[asyncio.Protocol]", functools.partial(HttpProtocol, limits, lanes)),
        ws="none",
        log_config=None,
        access_log=False,  # it would write survey tokens
        server_header=False,
        date_header=False,
        lifespan="off",
        timeout_graceful_shutdown=2,
        proxy_headers=False,
        backlog=1024,
    )
    server = _Server(config)

    async def end() -> None:
        await stop.wait()
        server.should_exit = True

    async def close_late() -> None:
        while True:
            await asyncio.sleep(min(1.0, limits.head_seconds))
            now = asyncio.get_running_loop().time()
            for connection in list(server.server_state.connections):
                cast("HttpProtocol", connection).close_if_late(now)

    watching = [asyncio.create_task(end()), asyncio.create_task(close_late())]
    try:
        await server.serve()
    except SystemExit:
        raise MustStop(f"cannot listen on {host}:{port}: the port is taken") from None
    finally:
        for task in watching:
            task.cancel()
    if not stop.is_set():
        raise MustStop(f"cannot listen on {host}:{port}: the port is taken")
