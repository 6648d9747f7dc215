"""Pseudonym signs: a driver is a sign and a colour, drawn and written. Pure. Source: visual.md, pseudonym signs."""

from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

_SIGNS: Final = ("star", "moon", "spruce", "wave")
_COLOURS: Final = ("blue", "ochre", "green", "red")
_SHAPES: Final = {
    "star": '<path d="M20 3.5 24.6 14 36 15.2 27.5 22.8 30 34 20 28.2 10 34 12.5 22.8 4 15.2 15.4 14Z"/>',
    "moon": '<path d="M26.5 5.2A16 16 0 1 0 35 24.5 13 13 0 0 1 26.5 5.2Z"/>',
    "spruce": '<path d="M20 3 30 17H25.5L34 30H23V37H17V30H6L14.5 17H10Z"/>',
    "wave": '<path class="stroke" d="M3 14C8 7 13 7 18.5 13S31 20 37 12M3 28C8 21 13 21 18.5 27S31 34 37 26"/>',
}


@dataclass(frozen=True, slots=True)
class Sign:
    """One driver's sign at a terminal.

    Attributes:
        series: 1 for the first sixteen drivers; later ones get the same signs with this number beside them.
    """

    shape: str
    colour: str
    series: int

    @property
    def drawing(self) -> Markup:
        """The sign as SVG, without a colour of its own."""
        shape = _SHAPES[self.shape]
        return Markup(f'<svg class="sign" viewBox="0 0 40 40" aria-hidden="true">{shape}</svg>')  # noqa: S704 our own shapes


def sign_of(number: int) -> Sign:
    """The sign of the driver who was praised as number `number` at the terminal, counted from 0."""
    series, place = divmod(number, len(_SIGNS) * len(_COLOURS))
    shape = place % len(_SIGNS)
    colour = (shape + place // len(_SIGNS)) % len(_COLOURS)
    return Sign(_SIGNS[shape], _COLOURS[colour], series + 1)
