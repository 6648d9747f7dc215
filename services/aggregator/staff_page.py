"""What the aggregator's pages for staff share: the shell, its links, and the style they load."""

from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined

from services.chassis.web import faces_sprite, mark, page_headers, shell_loader, staff_nav

PAGES: Final = Path(__file__).parent / "pages"
HEADERS: Final = page_headers(same_origin=True)


@cache
def _environment() -> Environment:
    return Environment(
        loader=ChoiceLoader([FileSystemLoader(PAGES), shell_loader()]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(template: str, *, current: str = "", skip: str = "Skip to the numbers", **values: Any) -> bytes:
    """A page of staff with the links of all pages; `current` is the path of the page's own link."""
    shell: dict[str, Any] = {
        "lang": "en",
        "nav": staff_nav(current),
        "nav_label": "Pages",
        "skip_label": skip,
        "scope_note": "",
        "initials": "",
        "faces_sprite": faces_sprite(),
        "mark": mark(20),
    }
    return _environment().get_template(template).render(**(shell | values)).encode()
