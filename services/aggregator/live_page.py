"""The live page for staff, and the files it loads."""

from collections.abc import Mapping
from functools import cache
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.aggregator.staff_page import HEADERS, PAGES, render
from services.chassis.http import problem
from services.chassis.web.files import PageFile, page_files

_CACHED: Final = "public, max-age=300, stale-while-revalidate=86400"


@cache
def render_live() -> bytes:
    """The page before any number has come: its final layout with "–" in every place."""
    return render("live.html", current="/live")


def routes() -> list[Route]:
    """`GET /live` and its files."""
    files: Mapping[str, PageFile] = page_files(PAGES)

    async def live(_: Request) -> Response:
        return Response(render_live(), headers=HEADERS, media_type="text/html")

    async def file(request: Request) -> Response:
        found = files.get(request.path_params["name"])
        if found is None:
            return problem(404, "No such file")
        about = {"cache-control": _CACHED, "etag": found.etag, "x-content-type-options": "nosniff"}
        if request.headers.get("if-none-match") == found.etag:
            return Response(status_code=304, headers=about)
        return Response(found.body, headers={**about, "content-type": found.content_type})

    return [Route("/live", live), Route("/live/assets/{name:str}", file)]
