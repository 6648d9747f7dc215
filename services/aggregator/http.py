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
_RUN_BY_SPREADSHEETS = frozenset("=+-@＝＋－＠")
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
            limit = _limit(query.get("limit", "1000"))
            value = _stored_text(query.get("value"))
            written = _FORMATS[query.get("format", "json")]
        except MustStop as error:
            return problem(400, "Unknown cut", str(error))
        except (ValueError, KeyError):
            known = f"window is one of {', '.join(Window)}, format one of {', '.join(_FORMATS)}"
            return problem(400, "Wrong query", f"{known}; limit is a whole number from 0")
        async with pool.acquire() as connection:
            rows = await cells.of_cut(connection, cut, window, value=value, limit=limit)
        return written(rows)

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


def _limit(text: str) -> int:
    limit = int(text)
    if limit < 0:
        raise ValueError("a limit is not below 0")
    return min(_MOST, limit)


def _stored_text(text: str | None) -> str | None:
    if text is not None and "\x00" in text:
        raise ValueError("no stored text holds NUL")
    return text


def as_csv(rows: list[dict[str, Any]]) -> str:
    """Cells as CSV with a header line (RFC 4180); text that a spreadsheet would run is disarmed (security 14)."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(_COLUMNS)
    for row in rows:
        flat = {**row, **{f"s{n}": s for n, s in enumerate(row["scores"], 1)}}
        writer.writerow([disarmed(flat[c]) for c in _COLUMNS])
    return out.getvalue()


def disarmed(value: Any) -> Any:
    """A value that no spreadsheet runs."""
    return f"'{value}" if isinstance(value, str) and value.lstrip()[:1] in _RUN_BY_SPREADSHEETS else value


def _json(rows: list[dict[str, Any]]) -> Response:
    return json_response({"cells": rows}, headers={"cache-control": "no-store"})


def _csv(rows: list[dict[str, Any]]) -> Response:
    return Response(as_csv(rows), media_type="text/csv", headers={"cache-control": "no-store"})


_FORMATS = {"json": _json, "csv": _csv}
