"""The aggregator over HTTP: cells as JSON or CSV, and the live page with its event stream."""

import asyncio
import csv
import io
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from schemas.satisfaction import Window
from services.aggregator import live_page
from services.aggregator.cells import Cells
from services.aggregator.cuts import cut_named
from services.aggregator.live import LiveFeed
from services.chassis.failures import MustStop
from services.chassis.http import json_response, problem
from services.chassis.postgres import Pool

_MOST = 10_000
_COLUMNS = (
    "cut",
    "value",
    "window",
    "start",
    "answers",
    "s1",
    "s2",
    "s3",
    "s4",
    "s5",
    "delivered",
    "asked",
    "suppressed",
    "pending",
    "failed",
    "commented",
    "contested",
    "version",
    "as_of",
)


def routes(pool: Pool, feed: LiveFeed, stop: asyncio.Event) -> list[Route]:
    """All routes; event streams end when `stop` is set."""
    cells = Cells()

    async def show_cells(request: Request) -> Response:
        query = request.query_params
        try:
            cut = cut_named(query.get("cut", "total")).name
            window = Window(query.get("window", "all"))
            limit = min(_MOST, int(query.get("limit", "1000")))
        except MustStop as error:
            return problem(400, "Unknown cut", str(error))
        except ValueError:
            return problem(400, "Wrong query", f"window is one of {', '.join(Window)}; limit is a whole number")
        async with pool.acquire() as connection:
            rows = await cells.of_cut(connection, cut, window, value=query.get("value"), limit=limit)
        if query.get("format") == "csv":
            return Response(as_csv(rows), media_type="text/csv", headers={"cache-control": "no-store"})
        return json_response({"cells": rows}, headers={"cache-control": "no-store"})

    async def show_live(_: Request) -> Response:
        return json_response(feed.snapshot(), headers={"cache-control": "no-store"})

    async def stream(_: Request) -> Response:
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(feed.events(stop), media_type="text/event-stream", headers=headers)

    return [
        Route("/api/cells", show_cells),
        Route("/api/live", show_live),
        Route("/live/events", stream),
        *live_page.routes(),
    ]


def as_csv(rows: list[dict[str, Any]]) -> str:
    """Cells as CSV with a header line (RFC 4180); text that a spreadsheet would run is disarmed (security 14)."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(_COLUMNS)
    for row in rows:
        flat = {**row, **{f"s{n}": s for n, s in enumerate(row["scores"], 1)}}
        writer.writerow([_disarmed(flat[c]) for c in _COLUMNS])
    return out.getvalue()


def _disarmed(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t", "\r", "＝"} else value
