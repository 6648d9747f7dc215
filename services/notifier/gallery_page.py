"""The gallery of messages as one HTML page, for a file or for the demo."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from services.chassis.web import page_headers, squeezed_css, tokens_css
from services.chassis.web.shell import csp_hash
from services.notifier.gallery import Sample

_PAGES: Final = Path(__file__).parent / "pages"
MAIL_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; sandbox"
"""What a mail inside the page may do: be styled, and nothing else."""


@dataclass(frozen=True, slots=True)
class Form:
    """What can be chosen on the page, and what is."""

    languages: Sequence[str]
    language: str
    switches: Sequence[tuple[str, str]]
    on: frozenset[str]


def standalone_page(samples: Iterable[Sample]) -> str:
    """A page that needs no server: its mails stand inside it."""
    return _rendered(samples, lambda s: Markup('srcdoc="{}"').format(s.message.html or ""), None)


def served_page(samples: Iterable[Sample], address_of: Callable[[Sample], str], form: Form) -> str:
    """A page whose mails are fetched from `address_of` each."""
    return _rendered(samples, lambda s: Markup('loading="lazy" src="{}"').format(address_of(s)), form)


def served_headers() -> dict[str, str]:
    """The headers that guard a served page."""
    headers = page_headers(style_hashes=[csp_hash(_style())])
    headers["Content-Security-Policy"] += "; frame-src 'self'; img-src data:"
    return headers | {"Content-Type": "text/html; charset=utf-8"}


def _style() -> str:
    return squeezed_css(tokens_css() + (_PAGES / "gallery.css").read_text("utf-8"))


def _rendered(samples: Iterable[Sample], mail: Callable[[Sample], Markup], form: Form | None) -> str:
    environment = Environment(
        loader=FileSystemLoader(_PAGES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    by_heading = groupby(samples, key=lambda s: f"{s.language}, {s.occasion.replace('_', ' ')}")
    groups = [(heading, list(group)) for heading, group in by_heading]
    style = Markup(_style())  # noqa: S704 our own file
    return environment.get_template("gallery.html").render(groups=groups, mail=mail, style=style, form=form)
