"""From what a browser posts to an answer we may keep. Pure; everything from outside is cleaned or refused here."""

import hashlib
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import parse_qsl

LONGEST_BODY = 16 * 1024
LONGEST_COMMENT = 2000
REASONS = frozenset({"on_time", "right_place", "condition", "courtesy", "information", "other"})
_MOST_FIELDS = 40
_MOST_MARKS = 4
_TOKEN = re.compile(r"[A-Za-z0-9_-]{22}", re.ASCII)
_JOINERS = frozenset("\u200d\ufe0e\ufe0f")  # they make one emoji of several
_DROPPED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})


class Rejected(Exception):
    """The input breaks a rule; nothing was kept. Names the field, never its value."""

    def __init__(self, field: str, rule: str) -> None:
        super().__init__(f"{field}: {rule}")
        self.field = field
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Answer:
    """One change of an answer; what is None stays as it was (C8).

    Attributes:
        score: 1 to 5.
        reasons: ticked reason chips; an empty tuple unticks all.
        comment: cleaned text, never empty.
        contested: the person says that the parcel never came.
    """

    score: int | None = None
    reasons: tuple[str, ...] | None = None
    comment: str | None = None
    contested: bool = False
    language: str | None = None

    @property
    def says_something(self) -> bool:
        """Whether there is anything to keep."""
        return self.score is not None or self.reasons is not None or self.comment is not None or self.contested


def looks_like_token(text: str) -> bool:
    """Whether this can be a token of ours: 22 letters, digits, `-` and `_`."""
    return _TOKEN.fullmatch(text) is not None


def token_hash(token: str) -> bytes:
    """What stands in the database instead of the token."""
    return hashlib.sha256(token.encode()).digest()


def parse_form(body: bytes) -> dict[str, list[str]]:
    """The fields of an `application/x-www-form-urlencoded` body.

    Raises:
        Rejected: not UTF-8, or more fields than any page of ours has.
    """
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except (ValueError, UnicodeError):
        raise Rejected("body", "must be a form in UTF-8 with few fields") from None
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    return fields


def read_answer(fields: dict[str, list[str]], languages: frozenset[str]) -> Answer:
    """The answer in a form. Fields that we do not know are ignored.

    Raises:
        Rejected: a field breaks its rule, or nothing is said.
    """
    details = fields.get("part") == ["details"]
    language = _single(fields, "lang")
    answer = Answer(
        score=_score(_single(fields, "score")),
        reasons=_reasons(fields.get("reasons", [])) if details or "reasons" in fields else None,
        comment=clean_comment(_single(fields, "comment") or ""),
        contested=_single(fields, "contested") == "1",
        language=language if language in languages else None,
    )
    if not answer.says_something:
        raise Rejected("score", "is missing")
    return answer


def _single(fields: dict[str, list[str]], name: str) -> str | None:
    values = fields.get(name, [])
    if len(values) > 1:
        raise Rejected(name, "is given more than once")
    return values[0] if values else None


def _score(text: str | None) -> int | None:
    if text is None:
        return None
    if text not in {"1", "2", "3", "4", "5"}:
        raise Rejected("score", "must be 1, 2, 3, 4 or 5")
    return int(text)


def _reasons(values: list[str]) -> tuple[str, ...]:
    if not REASONS.issuperset(values):
        raise Rejected("reasons", "must be among the ones offered")
    return tuple(sorted(set(values)))


def clean_comment(text: str) -> str | None:
    """The comment as we keep it: NFC, without control and invisible characters and stacked marks; None if empty.

    Raises:
        Rejected: longer than 2,000 characters.
    """
    lines = text.replace("\r\n", "\n").replace("\t", " ")
    visible = "".join(c for c in lines if c in _JOINERS or c == "\n" or unicodedata.category(c) not in _DROPPED)
    cleaned = "".join(_without_stacks(unicodedata.normalize("NFC", visible))).strip()
    if len(cleaned) > LONGEST_COMMENT:
        raise Rejected("comment", f"must have at most {LONGEST_COMMENT} characters")
    return None if _JOINERS.issuperset(cleaned) else cleaned


def _without_stacks(text: str) -> Iterator[str]:
    """All but the marks piled on one letter beyond what any script needs; joiners do not begin a new letter."""
    marks = 0
    for character in text:
        if character in _JOINERS or unicodedata.category(character) in {"Mn", "Me"}:
            marks += 1
        else:
            marks = 0
        if marks <= _MOST_MARKS:
            yield character
