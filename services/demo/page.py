"""The page that `make demo` opens: HTML, style and scripts. The demo's web server hands them out.

`GET /` is `render_page()`; `GET /demo/assets/{name}` is `asset(name)`, with 404 for None.
"""

from functools import cache
from pathlib import Path
from typing import Final

from services.chassis.web import SCORES, face, faces_sprite, mark, page_headers, page_templates
from services.chassis.web.files import page_files

_FOLDER: Final = Path(__file__).parent / "page"
_STAGES: Final = (
    {"key": "deliveries", "name": "Deliveries", "role": "simulated", "topic": "delivery.completed.v1"},
    {"key": "notifier", "name": "Notifier", "role": "asks, or says why not", "topic": "invitation.decided.v1"},
    {"key": "survey", "name": "Survey", "role": "saves the tap", "topic": "response.recorded.v1"},
    {"key": "aggregator", "name": "Aggregator", "role": "counts once", "topic": "satisfaction.cells.v1"},
)
_FACES: Final = ("Very dissatisfied", "Dissatisfied", "Neither", "Satisfied", "Very satisfied")


@cache
def render_page() -> tuple[bytes, dict[str, str]]:
    """The page and the headers that guard it."""
    html = (
        page_templates(_FOLDER)
        .get_template("index.html")
        .render(
            faces_sprite=faces_sprite(),
            face=face,
            mark=mark(20),
            scores=SCORES,
            face_words=_FACES,
            stages=_STAGES,
        )
    )
    return html.encode(), {**page_headers(same_origin=True), "Content-Type": "text/html; charset=utf-8"}


@cache
def asset(name: str) -> tuple[bytes, str] | None:
    """The body and content type of a file that the page loads, None for any other name."""
    file = page_files(_FOLDER, figures=True).get(name)
    return None if file is None else (file.body, file.content_type)
