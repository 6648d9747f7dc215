"""The live page for staff, and the files it loads."""

from functools import lru_cache
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from schemas.delivery import Method
from services.aggregator.live.scope import Scope, scope_of
from services.aggregator.staff.page import HEADERS, PAGES, render
from services.chassis.web.files import file_endpoint, page_files

_USUAL: Final = Scope()

_FILTERS: Final = (
    ("span", "Time", (("today", "Today"), ("month", "This month"), ("all", "Everything"))),
    ("rows", "Cut", (("terminal", "Terminal"), ("country", "Country"), ("method", "Method"))),
    ("method", "Method", (("", "All"), *((m.value, m.value.replace("_", " ").capitalize()) for m in Method))),
    ("compare", "Compare", (("weeks", "8 same weekdays"), ("none", "Nothing"))),
)


@lru_cache(maxsize=256)
def render_live(scope: Scope = _USUAL, *, compare: bool = True) -> bytes:
    """The page before any number has come: its final layout with "–" in every place, selects as the address says."""
    chosen = {
        "span": scope.span.value,
        "rows": scope.rows,
        "method": scope.method or "",
        "compare": "weeks" if compare else "none",
        "span_words": dict(_FILTERS[0][2])[scope.span.value].lower(),
        "rows_words": scope.rows.capitalize(),
    }
    return render("live.html", current="/live", filters=_FILTERS, chosen=chosen)


def routes() -> list[Route]:
    """`GET /live` and its files."""

    async def live(request: Request) -> Response:
        try:
            scope = scope_of(request.query_params)
        except ValueError:
            scope = _USUAL
        body = render_live(scope, compare=request.query_params.get("compare") != "none")
        return Response(body, headers=HEADERS, media_type="text/html")

    return [Route("/live", live), Route("/live/assets/{name:str}", file_endpoint(page_files(PAGES, figures=True)))]
