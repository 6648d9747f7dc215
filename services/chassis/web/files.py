"""The files a staff page is served with: one style, our scripts and the chart library, ready in memory."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from services.chassis.http import problem
from services.chassis.web.shell import squeezed_css, staff_css, vendor_folder

_HERE: Final = Path(__file__).parent
_SCRIPTS: Final = _HERE / "scripts"
_CHART: Final = "uPlot.iife.min.js"
_SCRIPT_TYPE: Final = "text/javascript; charset=utf-8"
_STYLE_TYPE: Final = "text/css; charset=utf-8"
_CACHED: Final = "public, max-age=300, stale-while-revalidate=86400"


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file as it goes over the wire."""

    body: bytes
    content_type: str

    @property
    def etag(self) -> str:
        """A name for this content, so that a browser asks only whether it changed."""
        return f'"{hashlib.sha256(self.body).hexdigest()[:20]}"'


def page_files(folder: Path, *, figures: bool = False) -> Mapping[str, PageFile]:
    """The files of a staff page: `page.css` from shell, chart and `folder`, and every script by its name.

    With `figures` the style of live figures is part of it.
    """
    styles = [staff_css(), (vendor_folder() / "uPlot.min.css").read_text("utf-8")]
    if figures:
        styles.append((_HERE / "figures.css").read_text("utf-8"))
    styles += [file.read_text("utf-8") for file in sorted(folder.glob("*.css"))]
    files = {"page.css": PageFile(squeezed_css("\n".join(styles)).encode(), _STYLE_TYPE)}
    for script in (vendor_folder() / _CHART, *sorted(_SCRIPTS.glob("*.js")), *sorted(folder.glob("*.js"))):
        files[script.name] = PageFile(script.read_bytes(), _SCRIPT_TYPE)
    return files


def file_endpoint(files: Mapping[str, PageFile]) -> Callable[[Request], Awaitable[Response]]:
    """What answers for a route that ends in `{name}`: that file, or 304 where the browser has it."""

    async def file(request: Request) -> Response:
        found = files.get(request.path_params["name"])
        if found is None:
            return problem(404, "No such file")
        about = {"cache-control": _CACHED, "etag": found.etag, "x-content-type-options": "nosniff"}
        if request.headers.get("if-none-match") == found.etag:
            return Response(status_code=304, headers=about)
        return Response(found.body, headers={**about, "content-type": found.content_type})

    return file
