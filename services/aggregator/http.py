"""The aggregator over HTTP: cells, and the live page with its event stream."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from services.aggregator import cell_routes, live_page
from services.aggregator.live import LiveFeed
from services.chassis.http import json_response
from services.chassis.postgres import Pool


def routes(pool: Pool, feed: LiveFeed, stop: asyncio.Event) -> list[Route]:
    """All routes; event streams end when `stop` is set."""

    async def show_live(_: Request) -> Response:
        return json_response(feed.snapshot(), headers={"cache-control": "no-store"})

    async def stream(request: Request) -> Response:
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        # A browser repeats the id itself, unless a page makes its connection anew.
        last = request.headers.get("last-event-id") or request.query_params.get("last")
        return StreamingResponse(feed.events(stop, last), media_type="text/event-stream", headers=headers)

    return [
        *cell_routes.routes(pool),
        Route("/api/live", show_live),
        Route("/live/events", stream),
        *live_page.routes(),
    ]
