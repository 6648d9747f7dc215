"""What every page shares: style text, page templates to extend, and the headers that guard a page."""

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import CodeType
from typing import Any, Final

from jinja2 import BytecodeCache, Environment, FileSystemLoader, StrictUndefined
from jinja2.bccache import Bucket
from markupsafe import Markup

STAFF_PAGES: Final = (
    ("/live", "Live"),
    ("/cases", "Cases"),
    ("/praise", "Praise"),
    ("/comments", "Comments"),
    ("/whiteboard", "Whiteboard"),
    ("/quality", "Quality"),
)
"""The pages of staff with their names, in the order in which every page links to them."""
_HERE: Final = Path(__file__).parent
_COMMENT: Final = re.compile(r"/\*.*?\*/", re.DOTALL)
_FORCED_THEME: Final = re.compile(r"^\[data-theme=\w+\] \{[^}]*\}\n", re.MULTILINE)
_REFERENCE: Final = re.compile(r"var\((--[\w-]+)")
_DECLARATION: Final = re.compile(r"(--[\w-]+)\s*:[^;}]*;?")
_AROUND_PUNCTUATION: Final = re.compile(r"\s*([{};,>])\s*")


@dataclass(frozen=True, slots=True)
class InlineAssets:
    """One style and one script that stand inside the page, with the headers that allow exactly these two."""

    style: Markup
    script: Markup
    headers: dict[str, str]


def tokens_css() -> str:
    """The colours as custom properties, light and dark."""
    return (_HERE / "tokens.css").read_text("utf-8")


def faces_css() -> str:
    """The rules that colour the five faces and the mark."""
    return (_HERE / "faces.css").read_text("utf-8")


def recipient_css() -> str:
    """Tokens, faces and the shell of a recipient's page, in that order; no theme is forced there."""
    return _FORCED_THEME.sub("", tokens_css()) + faces_css() + (_HERE / "recipient.css").read_text("utf-8")


def staff_css() -> str:
    """Tokens, faces and the shell of a staff page (52 px nav), in that order."""
    return tokens_css() + faces_css() + (_HERE / "staff.css").read_text("utf-8")


def staff_nav(current: str = "", counts: Mapping[str, int] | None = None) -> list[dict[str, Any]]:
    """The links of `staff.html`; `counts` by path stand beside the names."""
    known = counts or {}
    return [
        {"href": path, "label": label, "count": known.get(path), "current": path == current}
        for path, label in STAFF_PAGES
    ]


class CompiledTemplates(BytecodeCache):
    """What templates compile to: the shells are extended by many pages, each with an environment of its own."""

    def __init__(self) -> None:
        self._codes: dict[tuple[str, str], CodeType | None] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Give what the same file with the same text compiled to before."""
        bucket.code = self._codes.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep it."""
        self._codes[bucket.key, bucket.checksum] = bucket.code


@cache
def _compiled() -> CompiledTemplates:
    """Those of this process. Only for environments made alike: what a template compiles to depends on how."""
    return CompiledTemplates()


def page_templates(folder: Path) -> Environment:
    """The templates of a folder, and `recipient.html` and `staff.html` that pages extend; an unknown name is an error.

    All text is escaped.
    """
    return Environment(
        loader=FileSystemLoader([folder, _HERE / "templates"]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        bytecode_cache=_compiled(),
    )


def vendor_folder() -> Path:
    """The folder with the chart library's script, style and licence, to be served as static files."""
    return _HERE / "vendor"


def squeezed_css(css: str) -> str:
    """Drop comments and needless white space; strings with such punctuation do not occur in our styles."""
    return _AROUND_PUNCTUATION.sub(r"\1", " ".join(_COMMENT.sub("", css).split())).replace(";}", "}")


def without_unused_tokens(css: str) -> str:
    """Drop the custom properties that nothing in this style refers to."""
    used = set(_REFERENCE.findall(css))
    return _DECLARATION.sub(lambda found: found[0] if found[1] in used else "", css)


def squeezed_script(script: str) -> str:
    """Drop indentation and lines that only comment; no text of our scripts runs over a line's end."""
    lines = (line.strip() for line in script.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//"))


def csp_hash(text: str) -> str:
    """The source expression that allows this one inline style or script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def page_headers(
    *, style_hashes: Iterable[str] = (), script_hashes: Iterable[str] = (), same_origin: bool = False
) -> dict[str, str]:
    """The headers of a page; `same_origin` also allows own static files, for staff pages."""
    own = ["'self'"] if same_origin else []
    styles = " ".join([*own, *style_hashes]) or "'none'"
    scripts = " ".join([*own, *script_hashes]) or "'none'"
    images = "img-src 'self' data:; " if same_origin else ""
    policy = (
        f"default-src 'none'; style-src {styles}; script-src {scripts}; connect-src 'self'; {images}"
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
    return {
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
        "X-Robots-Tag": "noindex",
        "X-Content-Type-Options": "nosniff",
    }


def inline_assets(style: str, script: str) -> InlineAssets:
    """Make style and script ready to stand inside a page; call once, where the service is put together."""
    style, script = squeezed_css(without_unused_tokens(style)), squeezed_script(script)
    if "</" in style or "</" in script:
        raise ValueError("an inline style or script must not hold a closing tag")
    headers = page_headers(style_hashes=[csp_hash(style)], script_hashes=[csp_hash(script)])
    return InlineAssets(Markup(style), Markup(script), headers)  # noqa: S704 our own files, checked above
