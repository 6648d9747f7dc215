"""The five faces and the product mark as inline SVG (no request, no font, no emoji)."""

from typing import Final

from markupsafe import Markup

SCORES: Final = (1, 2, 3, 4, 5)

# The posture of the head changes with the mood, so each face is known by its outline without colour.
_HEADS: Final = {
    1: "M32 8C47.46 8 60 21.43 60 38C60 50.15 47.46 60 32 60C16.54 60 4 50.15 4 38C4 21.43 16.54 8 32 8Z",
    2: "M32 6.5C47.19 6.5 59.5 19.26 59.5 35C59.5 48.53 47.19 59.5 32 59.5"
    "C16.81 59.5 4.5 48.53 4.5 35C4.5 19.26 16.81 6.5 32 6.5Z",
    4: "M32 4.5C47.19 4.5 59.5 15.92 59.5 30C59.5 46.02 47.19 59 32 59"
    "C16.81 59 4.5 46.02 4.5 30C4.5 15.92 16.81 4.5 32 4.5Z",
    5: "M32 4.5C47.33 4.5 59.75 15.47 59.75 29C59.75 45.85 47.33 59.5 32 59.5"
    "C16.67 59.5 4.25 45.85 4.25 29C4.25 15.47 16.67 4.5 32 4.5Z",
}


def _line(path: str) -> str:
    return f'<path class="face-line" d="{path}"/>'


def _filled(path: str) -> str:
    return f'<path class="face-fill" d="{path}"/>'


def _dots(y: float) -> str:
    return "".join(f'<circle class="face-fill" cx="{x}" cy="{y}" r="2.6"/>' for x in (22.5, 41.5))


def _head(score: int) -> str:
    if score in _HEADS:
        return f'<path class="s{score}" d="{_HEADS[score]}"/>'
    return f'<circle class="s{score}" cx="32" cy="32" r="27"/>'


_FEATURES: Final = {
    1: _line("M17.5 31.5 25.5 27M46.5 31.5 38.5 27")
    + _filled("M21 51C21 43.5 25.6 39.5 32 39.5S43 43.5 43 51C38.5 48.2 25.5 48.2 21 51Z"),
    2: _dots(28.5) + _line("M22 47.5C25 40.5 39 40.5 42 47.5"),
    3: _dots(27) + _line("M22 43H42"),
    4: _dots(26) + _line("M20.5 38.5C24.5 48 39.5 48 43.5 38.5"),
    5: _line("M16.5 27.5C18 20.8 25.5 20.8 27 27.5M37 27.5C38.5 20.8 46 20.8 47.5 27.5")
    + _filled("M19 36C27 38.6 37 38.6 45 36C45 46.4 39.6 52 32 52S19 46.4 19 36Z"),
}


def _symbol(score: int) -> str:
    return f'<symbol id="face{score}" viewBox="0 0 64 64">{_head(score)}{_FEATURES[score]}</symbol>'


def faces_sprite() -> Markup:
    """The hidden sprite that every page with faces carries once, first in its body."""
    symbols = "".join(_symbol(score) for score in SCORES)
    return Markup(f'<svg class="sprite" width="0" height="0" aria-hidden="true">{symbols}</svg>')  # noqa: S704 our own constants


def face(score: int, size: int) -> Markup:
    """One face from the sprite; always put its words beside it, the picture is hidden from readers."""
    if score not in SCORES:
        raise ValueError(f"a face is 1 to 5, not {score}")
    return Markup(
        '<svg class="face" width="{size}" height="{size}" aria-hidden="true"><use href="#face{score}"/></svg>'
    ).format(size=int(size), score=int(score))


def mark(size: int) -> Markup:
    """The product mark: a tick that is half a smile."""
    return Markup(
        '<svg class="mark" viewBox="0 0 32 32" width="{size}" height="{size}" aria-hidden="true">'
        '<path d="M5 14.5C7.5 22 11.2 25.5 15 25.5 20 25.5 23.5 17 27 6.5"/></svg>'
    ).format(size=int(size))
