"""A comment as the masks read it: without what cannot be seen, and with one form for each letter, digit and space."""

import unicodedata
from typing import Final

_UNSEEN: Final = frozenset({"Mn", "Me", "Cf"})
"""Joiners, variation selectors and marks that no letter took up: they part digits that look like one number."""
_BLANK: Final = frozenset("\u115f\u1160\u2800\u3164\uffa0")  # letters and signs without ink


def folded(text: str) -> tuple[str, list[int]]:
    """The text as it looks, and where each of its characters stands in the original; one more place is its end."""
    if text.isascii():
        return text, list(range(len(text) + 1))
    plain: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        category = unicodedata.category(character)
        if category in _UNSEEN:
            continue
        plain.append(" " if category == "Zs" or character in _BLANK else _plain(character))
        places.append(place)
    return "".join(plain), [*places, len(text)]


def _plain(character: str) -> str:
    """The plain form of a wide, circled or raised character; others stay, as does what would become several."""
    form = unicodedata.normalize("NFKC", character)
    return form if len(form) == 1 and not form.isspace() else character
