"""What the pages of staff are set up with: templates, the look, and the headers that guard a form."""

from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment

from services.chassis.web.faces import faces_sprite, mark
from services.chassis.web.shell import csp_hash, page_headers, page_templates, squeezed_css, staff_css


def staff_environment(templates: Path, *, skip_label: str, scope_note: str = "", **words: object) -> Environment:
    """Templates of a folder that extend `staff.html`, with what that template needs and the words of the page."""
    environment = page_templates(templates)
    shell: Mapping[str, object] = {
        "lang": "en",
        "nav_label": "Pages",
        "skip_label": skip_label,
        "scope_note": scope_note,
        "faces_sprite": faces_sprite(),
        "mark": mark(20),
    }
    environment.globals.update({**shell, **words})
    return environment


def inline_style(environment: Environment, css: Path) -> dict[str, str]:
    """Give the templates the staff's look and a page's own as `style`; returns the headers that allow just that.

    A form is posted with its own origin, not with `null`, so that it can be told from another site's.
    """
    style = squeezed_css(staff_css() + css.read_text("utf-8"))
    environment.globals["style"] = style
    return {**page_headers(style_hashes=[csp_hash(style)], same_origin=True), "Referrer-Policy": "same-origin"}
