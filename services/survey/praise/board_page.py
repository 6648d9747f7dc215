"""The whiteboard as a pure page: what it shows goes in, bytes come out. Source: visual.md, whiteboard."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from babel.dates import format_date
from markupsafe import Markup, escape

from services.chassis.catalogues import read_catalogue
from services.chassis.web import inline_assets, page_templates, tokens_css
from services.survey.praise.board import LEAST_FOR_COUNTS, LEAST_FOR_QUOTES, BoardView, Quote
from services.survey.praise.scrub import Piece

_HERE: Final = Path(__file__).parent
LANGUAGES: Final = ("sv", "nb", "da", "fi", "en", "de")
_MOST_TALLIED: Final = 50
_GROUP: Final = 5
_SHORT: Final = 75
"""Characters of a quote that fits in the small column."""
_LARGE: Final = 110
"""Characters that fit at full size; longer ones stand smaller."""
_LONGEST: Final = 320
"""What the place holds at the smaller size; longer quotes are cut at a word."""
_SMALL_QUOTES: Final = 3
_DATES: Final = {"en": "EEEE d MMMM", "sv": "EEEE d MMMM", "de": "EEEE, d. MMMM", "fi": "cccc d. MMMM"}
_DATE: Final = "EEEE d. MMMM"
_CLOCKS: Final = {"da": "%H.%M", "fi": "%-H.%M"}


@dataclass(frozen=True, slots=True)
class _Words:
    words: dict[str, str]

    def __call__(self, key: str, **values: object) -> Markup:
        return escape(self.words[key]).format(**values)

    def has(self, key: str) -> bool:
        return key in self.words


class BoardPage:
    """Renders boards. Build one at start; `headers` go with each page and each fragment."""

    def __init__(self, days: int) -> None:
        self._words = {code: _Words(read_catalogue(_HERE / "locales", code, "board")) for code in LANGUAGES}
        style = tokens_css() + (_HERE / "pages" / "board.css").read_text("utf-8")
        script = (_HERE / "pages" / "board.js").read_text("utf-8")
        assets = inline_assets(style, script)
        policy = assets.headers["Content-Security-Policy"]
        self.headers = {**assets.headers, "Content-Security-Policy": f"{policy}; img-src data:"}  # the empty icon
        environment = page_templates(_HERE / "pages")
        environment.globals.update(
            assets=assets,
            version=hashlib.sha256(f"{assets.style}{assets.script}".encode()).hexdigest()[:12],
            days=days,
            least_for_counts=LEAST_FOR_COUNTS,
            least_for_quotes=LEAST_FOR_QUOTES,
        )
        self._page = environment.get_template("board.html")
        self._list = environment.get_template("boards.html")
        self._now = environment.get_template("board_now.html")

    def render(self, view: BoardView) -> bytes:
        """The whole page."""
        return self._page.render(**self._values(view)).encode()

    def render_now(self, view: BoardView) -> bytes:
        """What is inside `main`, for the page that refreshes itself."""
        return self._now.render(**self._values(view)).encode()

    def render_list(self, links: Markup) -> bytes:
        """The list of boards for staff."""
        return self._list.render(links=links).encode()

    def _values(self, view: BoardView) -> dict[str, Any]:
        language = view.board.language if view.board.language in self._words else "en"
        words = self._words[language]
        date = format_date(view.local_now, _DATES.get(language, _DATE), locale=language)
        quotes = [_hung(quote, words) for quote in view.quotes]
        return {
            "lang": language,
            "t": words,
            "view": view,
            "date": date[:1].upper() + date[1:],
            "time": view.local_now.strftime(_CLOCKS.get(language, "%H:%M")),
            "tally": "" if view.today is None else tally(view.today),
            "slides": slides(quotes),
            "all": quotes,
            "reason": words(f"reason.{view.reason}") if words.has(f"reason.{view.reason}") else None,
        }


@dataclass(frozen=True, slots=True)
class Hung:
    """A quote with its words around it."""

    pieces: tuple[Piece, ...]
    sign: Any
    name: str
    place: str
    size: str
    length: int


@dataclass(frozen=True, slots=True)
class Slide:
    """What is seen at once."""

    large: Hung
    small: tuple[Hung, ...]


def slides(quotes: Sequence[Hung]) -> list[Slide]:
    """Each quote stands large once, beside the next three that are short enough."""
    made = []
    for n, large in enumerate(quotes):
        others = [*quotes[n + 1 :], *quotes[:n]]
        made.append(Slide(large, tuple(q for q in others if q.length <= _SHORT)[:_SMALL_QUOTES]))
    return made


def tally(count: int) -> Markup:
    """Tally marks in groups of five, as drawn by hand; none over 50, where only the number is read."""
    if count > _MOST_TALLIED:
        return Markup("")
    strokes = []
    for n in range(count):
        group, place = divmod(n, _GROUP)
        left = group * 100
        if place == _GROUP - 1:
            strokes.append(f"M{left} {_bent(n, 58)}L{left + 82} {_bent(n + 3, 16)}")
        else:
            x = left + 15 + place * 17
            strokes.append(f"M{_bent(n, x)} {_bent(n + 1, 5)}L{_bent(n + 2, x)} {_bent(n + 5, 68)}")
    width = max(1, math.ceil(count / _GROUP)) * 100 - 12
    path = "".join(strokes)
    return Markup(f'<svg class="tally" viewBox="-4 0 {width} 74"><path d="{path}"/></svg>')  # noqa: S704 numbers only


def _bent(seed: int, to: int) -> int:
    """A few units off the line, always the same for the same stroke."""
    return to + (seed * 7 + 3) % 5 - 2


def _hung(quote: Quote, words: _Words) -> Hung:
    pieces = _cut(quote.pieces)
    length = _length(pieces)
    sign = quote.sign
    series = f" {sign.series}" if sign is not None and sign.series > 1 else ""
    name = "" if sign is None else f"{words(f'sign.{sign.shape}')} {words(f'colour.{sign.colour}')}{series}"
    return Hung(pieces, sign, name, _place(quote, words), "" if length <= _LARGE else "long", length)


def _place(quote: Quote, words: _Words) -> str:
    method = "home" if quote.method.startswith(("home", "in_home", "same_day")) else quote.method
    by = words(f"method.{method}" if words.has(f"method.{method}") else "method.other")
    if quote.route is None:
        return str(by)
    route = words("route", route=quote.route) if quote.route[:1].isdigit() else quote.route
    return f"{route} · {by}"


def _length(pieces: Sequence[Piece]) -> int:
    return sum(len(p.text) if p.mask is None else len("nummer") for p in pieces)


def _cut(pieces: tuple[Piece, ...]) -> tuple[Piece, ...]:
    """The pieces up to what the board holds, cut at a word."""
    room = _LONGEST
    kept: list[Piece] = []
    for piece in pieces:
        if _length([piece]) > room:
            words = piece.text[:room].rsplit(None, 1)
            return (*kept, Piece(f"{words[0] if words else ''} …"))
        kept.append(piece)
        room -= _length([piece])
    return tuple(kept)
