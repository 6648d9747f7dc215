"""What the aggregator's pages for staff share: the shell, its links, and the style they load."""

from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment

from services.chassis.web import page_headers, staff_environment, staff_nav

PAGES: Final = Path(__file__).parent.parent / "pages"
HEADERS: Final = page_headers(same_origin=True)


@cache
def _environment() -> Environment:
    return staff_environment(PAGES, skip_label="Skip to the numbers", initials="")


def render(template: str, *, current: str = "", skip: str = "", **values: Any) -> bytes:
    """A page of staff with the links of all pages; `current` is the path of the page's own link."""
    shell: dict[str, Any] = {"nav": staff_nav(current), **({"skip_label": skip} if skip else {})}
    return _environment().get_template(template).render(**(shell | values)).encode()
