"""Takes personal data out of a comment: spans that are masked, each with its kind. Pure; when in doubt it masks.

What it cannot know, such as the name of a stranger in the middle of a sentence, is left to the person who
approves the text; a mask can be added there and never taken away.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Final

import phonenumbers

from services.survey.folded import folded
from services.survey.own_names import WORD, places_of
from services.survey.praise import patterns
from services.survey.praise.personal_numbers import is_personal_number


class Kind(StrEnum):
    """What a mask hides."""

    NAME = "name"
    PHONE = "phone"
    EMAIL = "email"
    WEB = "web"
    ADDRESS = "address"
    PERSONAL_NUMBER = "personal_number"
    CODE = "code"
    NUMBER = "number"
    WORD = "word"
    """Masked by its number: by a member of staff, or for a name that is not known any more."""


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Characters `start` to `end`, without the latter."""

    start: int
    end: int
    kind: Kind


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of the comment: either readable text, or a mask whose text is gone."""

    text: str
    mask: Kind | None = None


@dataclass(frozen=True, slots=True)
class Word:
    """A word of the comment for the staff's preview; `mask` where it cannot be read any more."""

    number: int
    text: str
    mask: Kind | None


_IN_ORDER: Final = (
    (Kind.EMAIL, (patterns.EMAIL,)),
    (Kind.WEB, (patterns.WEB,)),
    (Kind.CODE, (patterns.CODE, patterns.CODE_FIRST, patterns.KEYPAD)),
)
_PLACES: Final = (
    patterns.STREET_WITH_NUMBER,
    patterns.SPACED_STREET,
    patterns.ENGLISH_STREET,
    patterns.STREET,
    patterns.POSTCODE,
    patterns.HOME,
)


def find(text: str, country: str, names: Iterable[str] = ()) -> list[Span]:
    """The spans to mask, in order and apart from each other.

    Args:
        text: the comment.
        country: of the delivery (ISO 3166-1 alpha-2); phone numbers are read as written there.
        names: names from the answer's own contact block.
    """
    plain, places = folded(text)
    taken: list[Span] = []
    for span in _candidates(plain, country, names):
        if all(span.end <= other.start or other.end <= span.start for other in taken):
            taken.append(span)
        else:
            _widen(taken, span)
    return sorted(Span(places[s.start], places[s.end], s.kind) for s in taken)


def scrub(text: str, country: str, names: Iterable[str] = (), more: Iterable[int] = ()) -> tuple[Piece, ...]:
    """The comment with its masks; `more` are the numbers of words that are masked too, counted from 0."""
    hidden = frozenset(more)
    spans = find(text, country, names)
    for number, word in enumerate(WORD.finditer(text)):
        if number in hidden:
            spans = _with_word(spans, Span(word.start(), word.end(), Kind.WORD))
    return tuple(_pieces(text, spans))


def words(text: str, country: str, names: Iterable[str] = (), more: Iterable[int] = ()) -> tuple[Word, ...]:
    """The words of a comment for the preview; one that is masked, even in part, has lost its text."""
    spans = find(text, country, names)
    hidden = frozenset(more)
    found = []
    for number, word in enumerate(WORD.finditer(text)):
        mask = next((s.kind for s in spans if s.start < word.end() and word.start() < s.end), None)
        mask = Kind.WORD if mask is None and number in hidden else mask
        found.append(Word(number, word.group() if mask is None else "", mask))
    return tuple(found)


def readable(pieces: Iterable[Piece]) -> str:
    """What can still be read, with a space for each mask: this is what the search may know."""
    return "".join(" " if p.mask else p.text for p in pieces).strip()


def _candidates(text: str, country: str, names: Iterable[str]) -> Iterator[Span]:
    """Everything that looks like personal data, the surest first: the first to take a place names its kind."""
    for kind, found in _IN_ORDER:
        yield from _matches(kind, text, found)
    yield from _personal_numbers(text)
    yield from (Span(*place, Kind.NAME) for place in places_of(text, names))
    yield from _matches(Kind.ADDRESS, text, _PLACES)
    for match in phonenumbers.PhoneNumberMatcher(text, country):
        yield Span(match.start, match.end, Kind.PHONE)
    yield from (s for s in _matches(Kind.PHONE, text, (patterns.PHONE, patterns.COMMA_PHONE)) if not _is_date(text, s))
    yield from (s for s in _matches(Kind.NUMBER, text, (patterns.LONG_NUMBER,)) if not _is_date(text, s))
    yield from _matches(Kind.NAME, text, (patterns.SIGNED, patterns.SLASH_SIGNED))


def _matches(kind: Kind, text: str, found: Iterable[re.Pattern[str]]) -> Iterator[Span]:
    for pattern in found:
        for match in pattern.finditer(text):
            yield Span(*match.span("it"), kind)


def _personal_numbers(text: str) -> Iterator[Span]:
    for span in _matches(Kind.PERSONAL_NUMBER, text, (patterns.PERSONAL_NUMBER,)):
        if is_personal_number(text[span.start : span.end].replace(" ", "")):
            yield span


def _is_date(text: str, span: Span) -> bool:
    return patterns.DATE.fullmatch(text[span.start : span.end]) is not None


def _widen(taken: list[Span], span: Span) -> None:
    """A later find that overlaps earlier ones stretches the first of them and swallows the others."""
    touched = [s for s in taken if s.start < span.end and span.start < s.end]
    start, end = min(span.start, *(s.start for s in touched)), max(span.end, *(s.end for s in touched))
    first = min(taken.index(s) for s in touched)
    kind = taken[first].kind
    for s in touched:
        taken.remove(s)
    taken.insert(first, Span(start, end, kind))


def _with_word(spans: list[Span], word: Span) -> list[Span]:
    """Mask the whole word; masks that already lie in it keep their kind and grow together with it."""
    touched = [s for s in spans if s.start < word.end and word.start < s.end]
    if not touched:
        return sorted([*spans, word])
    start, end = min(word.start, *(s.start for s in touched)), max(word.end, *(s.end for s in touched))
    return sorted([*(s for s in spans if s not in touched), Span(start, end, touched[0].kind)])


def _pieces(text: str, spans: list[Span]) -> Iterator[Piece]:
    edges = [Span(0, 0, Kind.WORD), *spans, Span(len(text), len(text), Kind.WORD)]
    for before, span in pairwise(edges):
        if before.end < span.start:
            yield Piece(text[before.end : span.start])
        if span.start < span.end:
            yield Piece("", span.kind)
