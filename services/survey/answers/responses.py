"""Answers as they come from any page, app or message: what may be said, and cleaning of what was written. Pure."""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

LONGEST_BODY = 32 * 1024
"""A form writes a character in up to twelve bytes, `%F0%9F%98%80`, and so does JSON that escapes them."""
LONGEST_COMMENT = 2000
LONGEST_NAME = 120
LONGEST_ADDRESS = 254
CONSENT_VERSION = "contact.v1"
"""The words beside the contact box ("Contact me about this", kept apart, for this case only, erased in time)."""
_FEWEST_DIGITS = 5
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
class Contact:
    """How to reach a person who wants to be contacted. Personal data, kept apart from the answer.

    Attributes:
        name: may be empty.
        address: a phone number or an e-mail address, as it was written.
        consent_version: the words that were agreed to.
    """

    name: str
    address: str
    consent_version: str = CONSENT_VERSION

    def as_text(self) -> str:
        """What is sealed."""
        return json.dumps({"name": self.name, "address": self.address}, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """One change of an answer; what is None stays as it was (C8).

    Attributes:
        score: 1 to 5.
        reasons: ticked reason chips; an empty tuple unticks all.
        follow_ups: further questions answered now, by name; None takes an answer back, the others stay.
        comment: cleaned text, never empty.
        contested: True: the parcel never came; False takes that back.
        wants_contact: True comes with `contact`; False takes the wish back and erases the contact data.
    """

    score: int | None = None
    reasons: tuple[str, ...] | None = None
    comment: str | None = None
    contested: bool | None = None
    language: str | None = None
    follow_ups: Mapping[str, int | None] = field(default_factory=dict)
    wants_contact: bool | None = None
    contact: Contact | None = None

    @property
    def says_something(self) -> bool:
        """Whether there is anything to keep."""
        said = (self.score, self.reasons, self.comment, self.contested, self.wants_contact, *self.follow_ups.values())
        return any(part is not None for part in said)


def looks_like_token(text: str) -> bool:
    """Whether this can be a token of ours: 22 letters, digits, `-` and `_`."""
    return _TOKEN.fullmatch(text) is not None


def token_hash(token: str) -> bytes:
    """What stands in the database instead of the token."""
    return hashlib.sha256(token.encode()).digest()


def attempt(key: str, body: bytes) -> bytes:
    """The fingerprint of an attempt: 8 bytes for the Idempotency-Key, 8 for the body that came with it."""
    return hashlib.sha256(key.encode()).digest()[:8] + hashlib.sha256(body).digest()[:8]


def contact_of(name: str, address: str) -> Contact:
    """How to reach a person, cleaned.

    Raises:
        Rejected: `contact_name` or `contact_address`: too long, or nothing that anybody can be reached by.
    """
    name = _one_line("contact_name", name, LONGEST_NAME)
    address = _one_line("contact_address", address, LONGEST_ADDRESS)
    if "@" not in address and sum(c.isdigit() for c in address) < _FEWEST_DIGITS:
        raise Rejected("contact_address", "must be a phone number or an e-mail address")
    return Contact(name, address)


def _one_line(field: str, text: str, longest: int) -> str:
    if len(text) > longest:
        raise Rejected(field, f"must have at most {longest} characters")
    return " ".join((clean_comment(text) or "").split())


def clean_comment(text: str) -> str | None:
    """The comment as we keep it: NFC, without control and invisible characters and stacked marks; None if empty.

    Raises:
        Rejected: longer than 2,000 characters, both as it came and as we keep it: NFC makes some letters two.
    """
    lines = text.replace("\r\n", "\n").replace("\t", " ")
    visible = "".join(c for c in lines if c in _JOINERS or c == "\n" or unicodedata.category(c) not in _DROPPED)
    cleaned = "".join(_without_stacks(unicodedata.normalize("NFC", visible))).strip()
    if min(len(visible), len(cleaned)) > LONGEST_COMMENT:
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
