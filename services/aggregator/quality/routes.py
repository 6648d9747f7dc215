"""The public page over HTTP: `/quality` shows the latest closed month. Needs no sign-in and no script."""

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.aggregator.figures.months import month_number
from services.aggregator.quality.corrections import latest_first
from services.aggregator.quality.documents import as_csv, document
from services.aggregator.quality.figures import Quality, quality_of
from services.aggregator.quality.known_months import KnownMonths
from services.aggregator.quality.months import ClosedMonths
from services.aggregator.quality.notes import LANGUAGES
from services.aggregator.quality.page import headers, render, render_none
from services.aggregator.quality.publisher import Publisher, Shelf
from services.chassis.http import problem
from services.chassis.postgres import Pool

_FRESH_SECONDS: Final = 60.0
_MOST_KEPT: Final = 240
_CACHED: Final = {"cache-control": "public, max-age=60", "x-content-type-options": "nosniff"}


@dataclass(slots=True)
class QualityPages:
    """Serves months; what is asked of PostgreSQL stays for a minute, so that many readers cost one reading."""

    pool: Pool
    publisher: Publisher
    clock: Callable[[], float] = time.monotonic
    months: ClosedMonths = field(default_factory=ClosedMonths)
    _known: KnownMonths = field(init=False)
    _closed: tuple[float, Mapping[int, int]] | None = None
    """With the latest revision of each month."""
    _kept: dict[int, tuple[float, Quality, Shelf]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._known = KnownMonths(self.pool, self.months)

    def routes(self) -> list[Route]:
        """The routes."""
        return [Route("/quality", self.latest), Route("/quality/{month:str}", self.show)]

    async def latest(self, request: Request) -> Response:
        """The latest closed month, or a page that says that there is none."""
        closed = await self._closed_months()
        if not closed:
            return _answer(request, render_none(self.publisher, _language(request)), "text/html", headers())
        return await self._page(request, max(closed))

    async def show(self, request: Request) -> Response:
        """A closed month as a page, or with `.json` or `.csv` behind its name for programs."""
        name, _, form = request.path_params["month"].partition(".")
        try:
            number = month_number(name)
        except ValueError:
            return problem(404, "No such month")
        if form not in {"", "json", "csv"} or number not in await self._closed_months():
            return problem(404, "No such month", "Months are shown here once they are closed.")
        if not form:
            return await self._page(request, number)
        quality, shelf = await self._read(number)
        if form == "json":
            body = orjson.dumps(document(quality, shelf.complaints, shelf.corrections))
            return _answer(request, body, "application/json", _CACHED)
        return _answer(request, as_csv(quality, shelf.complaints), "text/csv", _CACHED)

    async def _page(self, request: Request, number: int) -> Response:
        quality, shelf = await self._read(number)
        return _answer(request, render(quality, self.publisher, shelf, _language(request)), "text/html", headers())

    async def _closed_months(self) -> Mapping[int, int]:
        if self._closed is None or self.clock() - self._closed[0] >= _FRESH_SECONDS:
            async with self.pool.acquire() as connection:
                self._closed = self.clock(), await self.months.revisions(connection)
        return self._closed[1]

    async def _read(self, number: int) -> tuple[Quality, Shelf]:
        kept = self._kept.get(number)
        if kept is None or self.clock() - kept[0] >= _FRESH_SECONDS:
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            latest = await self._closed_months()
            quality = quality_of(number, await self._known.until(number, latest))
            async with self.pool.acquire() as connection:
                changes = await self.months.changes(connection)
                complaints = await self.months.complaints(connection, quality.month)
            shelf = Shelf([*latest], changes, complaints, latest_first(await self._known.corrections(latest)))
            kept = self._kept[number] = self.clock(), quality, shelf
        return kept[1], kept[2]


def _language(request: Request) -> str:
    wanted = request.query_params.get("lang", "")
    return wanted if wanted in LANGUAGES else LANGUAGES[0]


def _answer(request: Request, body: str | bytes, media_type: str, about: dict[str, str]) -> Response:
    raw = body.encode() if isinstance(body, str) else body
    etag = f'"{hashlib.sha256(raw).hexdigest()[:20]}"'
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers={**about, "etag": etag})
    return Response(raw, headers={**about, "etag": etag}, media_type=media_type)
