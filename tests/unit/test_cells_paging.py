"""Where a page of cells ends and the next begins, and how a stream goes on, without a database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from services.aggregator import http
from services.aggregator.cells import routes as cell_routes
from services.aggregator.cells.routes import CellsApi
from services.aggregator.cells.rows import Cells, Place, Row
from services.aggregator.live.scope import Scope
from services.aggregator.live.scopes import LiveScopes
from services.chassis.http import make_app
from services.chassis.metrics import Metrics
from services.chassis.staff.gate import ShutGate
from tests.asgi import Reply, ask

NAMES = ("", 'B "1" å', "Årsta × home_day", "ö|&=%")


class Nothing:
    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[None]:
        yield None


class Shelf(Cells):
    """Three cells of each name, told after a place as the database does it."""

    __slots__ = ()

    async def cuts(self, _: object) -> list[str]:
        return ["terminal"]

    async def page(self, *_: object, after: Place | None = None, limit: int, **__: object) -> list[Row]:
        places = [(name, 3 << 30 | n) for name in sorted(NAMES) for n in range(3)]
        behind = [p for p in places if after is None or p > after]
        return [Row({"value": v, "n": n}, (v, n), (n, 1)) for v, n in behind[:limit]]


def app(feeds: LiveScopes | None = None) -> Any:
    async def ready() -> str | None:
        return None

    ending = asyncio.Event()
    ending.set()
    routes = http.routes(Nothing(), feeds or LiveScopes(Nothing(), None), ending, ShutGate())  # type: ignore[arg-type]
    return make_app(list(routes), ready=ready, metrics=Metrics())


@pytest.mark.parametrize("limit", [1, 2, 5, 11, 12, 13])
async def test_pages_hold_every_cell_once_and_in_order(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr(cell_routes, "CellsApi", lambda pool, _: CellsApi(pool, Shelf()))
    shown, path, pages = [], f"/api/cells?cut=terminal&limit={limit}", 0
    served = app()
    while path:
        reply: Reply = await ask(served, "GET", path)
        shown += [(c["value"], c["n"] & 3) for c in reply.json["cells"]]
        assert len(shown) <= 12
        path, pages = reply.json.get("next", ""), pages + 1
    assert shown == [(name, n) for name in sorted(NAMES) for n in range(3)]
    assert pages == -(-12 // limit)


@pytest.mark.parametrize("how", ["header", "query"])
async def test_a_stream_goes_on_after_the_event_that_its_reader_names(how: str) -> None:
    feeds = LiveScopes(Nothing(), None)  # type: ignore[arg-type]  # nothing is read
    feed = feeds.feed(Scope())
    assert feed is not None
    for version in (1, 2, 3):
        total = {"version": version, "scores": [0, 0, 0, 0, version], "answers": version}
        await feed.take({"total": total, "terminals": {"shown": []}, "behind": 0}, float(version))
    served = app(feeds)
    fresh = (await ask(served, "GET", "/live/events")).text
    assert fresh.startswith("event: snapshot\n")
    run = fresh.partition("id: ")[2].partition("-")[0]
    if how == "header":
        again = await ask(served, "GET", "/live/events", headers=[("last-event-id", f"{run}-1")])
    else:
        again = await ask(served, "GET", f"/live/events?last={run}-1")
    ids = [line.removeprefix("id: ") for line in again.text.splitlines() if line.startswith("id: ")]
    assert (again.text.count("event: update"), ids) == (2, [f"{run}-2", f"{run}-3"])
