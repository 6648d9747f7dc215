"""The public page of a month as HTML. Pure but for reading its own files."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Template
from markupsafe import Markup

from services.aggregator.quality.figures import Quality
from services.aggregator.quality.notes import LANGUAGES
from services.aggregator.quality.publisher import Publisher, Shelf
from services.aggregator.quality.speech import LANGUAGE_NAMES, Speech, words_of
from services.aggregator.quality.words import MonthInWords
from services.chassis.web import page_headers, page_templates
from services.chassis.web.shell import csp_hash, squeezed_css, tokens_css

_HERE: Final = Path(__file__).parent


@cache
def style() -> Markup:
    """The style that stands inside the page."""
    return Markup(squeezed_css(tokens_css() + (_HERE / "pages/quality.css").read_text("utf-8")))  # noqa: S704 our own file


@cache
def headers() -> dict[str, str]:
    """The headers of the page: nothing runs in it, and its one style is known by its hash."""
    told = page_headers(style_hashes=[csp_hash(style())])
    del told["X-Robots-Tag"]
    told["Content-Security-Policy"] += "; img-src data:"
    return told | {"Cache-Control": "public, max-age=60"}


@cache
def _template() -> Template:
    return page_templates(_HERE / "pages").get_template("quality.html")


def render(quality: Quality, publisher: Publisher, shelf: Shelf, language: str) -> str:
    """The page of a month."""
    return _rendered(MonthInWords(quality, publisher, shelf, Speech(language)).told(), publisher, language)


def render_none(publisher: Publisher, language: str) -> str:
    """The page before any month is closed."""
    w = words_of(language)
    links = [(code, LANGUAGE_NAMES[code], f"/quality?lang={code}") for code in LANGUAGES]
    told = {"title": w["none.title"], "heading": w["none.title"], "intro": w["none.text"], "alternate": ""}
    return _rendered(told | {"languages": links, "months": [], "q": False}, publisher, language)


def _rendered(told: Mapping[str, Any], publisher: Publisher, language: str) -> str:
    return _template().render(
        p=told, w=words_of(language), language=language, brand=publisher.brand, demo=publisher.demo, style=style()
    )
