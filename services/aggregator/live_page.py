"""The live page for staff, and the files it loads."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.chassis.http import problem
from services.chassis.web import faces_sprite, mark, page_headers, shell_loader, staff_nav
from services.chassis.web.files import PageFile, page_files

_PAGES: Final = Path(__file__).parent / "pages"
_CACHED: Final = "public, max-age=300, stale-while-revalidate=86400"


@cache
def render_live() -> bytes:
    """The page before any number has come: its final layout with "–" in every place."""
    environment = Environment(
        loader=ChoiceLoader([FileSystemLoader(_PAGES), shell_loader()]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shell: dict[str, Any] = {
        "lang": "en",
        "nav": staff_nav("/live"),
        "nav_label": "Pages",
        "skip_label": "Skip to the numbers",
        "scope_note": "",
        "initials": "",
    }
    template = environment.get_template("live.html")
    return template.render(
        **shell,
        faces_sprite=faces_sprite(),
        mark=mark(20),
    ).encode()


def routes() -> list[Route]:
    """`GET /live` and its files."""
    files: Mapping[str, PageFile] = page_files(_PAGES)
    headers = page_headers(same_origin=True)

    async def live(_: Request) -> Response:
        return Response(render_live(), headers=headers, media_type="text/html")

    async def file(request: Request) -> Response:
        found = files.get(request.path_params["name"])
        if found is None:
            return problem(404, "No such file")
        about = {"cache-control": _CACHED, "etag": found.etag, "x-content-type-options": "nosniff"}
        if request.headers.get("if-none-match") == found.etag:
            return Response(status_code=304, headers=about)
        return Response(found.body, headers={**about, "content-type": found.content_type})

    return [Route("/live", live), Route("/live/assets/{name:str}", file)]
