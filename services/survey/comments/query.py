"""What staff look for, as a PostgreSQL text query. Pure.

Facts stand in the index as lexemes of their own beside the words, so that one index answers every filter.
They begin with a sign that no word of a comment begins with.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.survey.staff.cursors import Cursor

CONFIGURATIONS: Final = {
    "sv": "swedish",
    "nb": "norwegian",
    "nn": "norwegian",
    "da": "danish",
    "fi": "finnish",
    "en": "english",
    "de": "german",
    None: "simple",
}
"""PostgreSQL's text search configuration for each language; `simple` where the language is not sure."""
_SIGN: Final = "§"
_NOT_TOLD: Final = str.maketrans(dict.fromkeys('"*\x00', " "))
_LONGEST_TEXT: Final = 200
_SCORES: Final = range(1, 6)


@dataclass(frozen=True, slots=True)
class Search:
    """What to look for; what is None or empty does not narrow.

    Attributes:
        text: words, all of which must be there; `or` between words and `-` before one do as in search engines.
        places: names of terminals or service points, any of them.
        terminals: the terminals whose comments the member may read; None means all.
        since, until: when it was said, `until` excluded.
        before: where this page begins.
    """

    text: str = ""
    scores: frozenset[int] = frozenset()
    reasons: frozenset[str] = frozenset()
    terminal: str | None = None
    places: tuple[str, ...] | None = None
    terminals: frozenset[str] | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: Cursor | None = None

    @property
    def words(self) -> str:
        """The text without what the index cannot tell: it keeps no order, so there are no phrases."""
        return " ".join(self.text.translate(_NOT_TOLD).split())[:_LONGEST_TEXT]

    @property
    def as_beginnings(self) -> bool:
        """Whether words of four letters or more stand for all that begin with them; a star anywhere asks for it."""
        return "*" in self.text


def facts_of(
    *,
    score: int | None,
    reasons: Iterable[str],
    terminal: str | None,
    service_point: str | None,
    language: str | None,
) -> list[str]:
    """The facts of a comment as lexemes."""
    facts = [fact("language", language or "")]
    facts += [fact("score", str(score))] if score is not None else []
    facts += [fact("reason", reason) for reason in reasons]
    facts += [fact("terminal", terminal), fact("place", terminal)] if terminal else []
    facts += [fact("place", service_point)] if service_point else []
    return sorted(set(facts))


def fact(kind: str, value: str) -> str:
    """One fact as a lexeme."""
    return f"{_SIGN}{kind[0]}{value}"


def fact_query(search: Search) -> str:
    """The facts that a hit must have, in the syntax of `tsquery`; empty where any will do."""
    wanted: list[Sequence[str]] = []
    if search.scores and set(search.scores) != set(_SCORES):
        wanted.append([fact("score", str(score)) for score in sorted(search.scores)])
    if search.reasons:
        wanted.append([fact("reason", reason) for reason in sorted(search.reasons)])
    if search.terminal is not None:
        wanted.append([fact("terminal", search.terminal)])
    if search.places is not None:
        wanted.append([fact("place", place) for place in search.places])
    if search.terminals is not None:
        wanted.append([fact("terminal", terminal) for terminal in sorted(search.terminals)])
    return " & ".join(f"({' | '.join(map(_quoted, any_of))})" for any_of in wanted)


def can_have_hits(search: Search) -> bool:
    """Whether anything can be found: not at no terminal, and not at a place that nobody knows."""
    return search.terminals != frozenset() and search.places != ()


def _quoted(lexeme: str) -> str:
    escaped = lexeme.replace("\x00", "").replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"
