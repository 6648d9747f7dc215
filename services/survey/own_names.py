"""Where a person's own name stands in what the person wrote. Pure."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Final

from services.survey.folded import folded

WORD: Final = re.compile(r"\S+")
"""A word of a comment; masks count them from 0."""
_SHORTEST: Final = 2


def own_names(contact: str) -> tuple[str, ...]:
    """The names in a contact wish, as its sealed text holds it."""
    name = json.loads(contact).get("name")
    return (name,) if name else ()


def places_of(plain: str, names: Iterable[str]) -> Iterator[tuple[int, int]]:
    """Each part of a name wherever it stands as a word of a folded text, with the endings of the genitive."""
    parts = {part for name in names for part in re.split(r"[\s,-]+", folded(name)[0]) if len(part) >= _SHORTEST}
    for part in sorted(parts, key=len, reverse=True):
        pattern = re.compile(rf"(?<!\w)(?P<it>{re.escape(part)}(?:['’:]?\w{{1,4}})?)(?!\w)", re.IGNORECASE)
        yield from (match.span("it") for match in pattern.finditer(plain))


def words_with(text: str, names: Iterable[str]) -> frozenset[int]:
    """The numbers of the words of a comment that a name stands in."""
    plain, places = folded(text)
    found = [(places[start], places[end]) for start, end in places_of(plain, names)]
    return frozenset(
        number
        for number, word in enumerate(WORD.finditer(text))
        if any(start < word.end() and word.start() < end for start, end in found)
    )
