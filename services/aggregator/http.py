"""The aggregator over HTTP: cells, and the live page with its event stream."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from services.aggregator.cells import routes as cell_routes
from services.aggregator.live import page as live_page
from services.aggregator.live.feed import LiveFeed
from services.aggregator.live.scope import row_of, scope_of
from services.aggregator.live.scopes import LiveScopes
from services.chassis.http import json_response, problem
from services.chassis.postgres import Pool
from services.chassis.staff import Gate
from services.chassis.staff.streams import lasts, while_signed_in


def routes(pool: Pool, feeds: LiveScopes, stop: asyncio.Event, gate: Gate) -> list[Route]:
    """All routes; event streams end when `stop` is set, and when the reader's session is over."""

    def feed_of(request: Request) -> LiveFeed | Response:
        try:
            scope = scope_of(request.query_params)
        except ValueError as error:
            return problem(400, "Nothing to look at", str(error))
        return feeds.feed(scope) or problem(503, "Too many different views", "Look at one that others look at.")

    async def show_live(request: Request) -> Response:
        feed = feed_of(request)
        if isinstance(feed, Response):
            return feed
        return json_response(feed.snapshot(), headers={"cache-control": "no-store"})

    async def stream(request: Request) -> Response:
        feed = feed_of(request)
        if isinstance(feed, Response):
            return feed
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        # A browser repeats the id itself, unless a page makes its connection anew.
        last = request.headers.get("last-event-id") or request.query_params.get("last")
        events = while_signed_in(feed.events(stop, last, row_of(request.query_params)), lasts(gate, request))
        return StreamingResponse(events, media_type="text/event-stream", headers=headers)

    return [
        *cell_routes.routes(pool),
        Route("/api/live", show_live),
        Route("/live/events", stream),
        *live_page.routes(),
    ]
