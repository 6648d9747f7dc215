"""From the form that a browser posts to what it says. Pure; everything from outside is cleaned or refused here."""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

from services.survey.answers.preferences import ANY_CHANNEL, CHANNELS, FREQUENCIES, Preference
from services.survey.answers.responses import Answer, Contact, Rejected, clean_comment, contact_of
from services.survey.definitions import FOLLOW_UPS
from services.survey.definitions import REASONS as _REASONS

REASONS: Final = frozenset(_REASONS)
HONEYPOT: Final = "website"
"""A field that people do not see; whoever fills it is a program (D10)."""
_MOST_FIELDS = 40
_WHOLE = re.compile(r"0|[1-9][0-9]?", re.ASCII)
_YES_OR_NO = {"1": True, "0": False}
Fields = Mapping[str, list[str]]


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


def read_answer(fields: Fields, languages: frozenset[str]) -> Answer:
    """The answer in a form. Fields that we do not know are ignored.

    With `part=further`, from a page without chips, reasons stay as they were, and nothing needs to be said.

    Raises:
        Rejected: a field breaks its rule, or nothing is said.
    """
    details = fields.get("part") == ["details"]
    language = _single(fields, "lang")
    wants_contact = _flag(fields, "wants_contact")
    answer = Answer(
        score=_score(_single(fields, "score")),
        reasons=_reasons(fields.get("reasons", [])) if details or "reasons" in fields else None,
        comment=clean_comment(_single(fields, "comment") or ""),
        contested=_flag(fields, "contested"),
        language=language if language in languages else None,
        follow_ups=_follow_ups(fields),
        wants_contact=wants_contact,
        contact=_contact(fields) if wants_contact else None,
    )
    if not answer.says_something and fields.get("part") != ["further"]:
        raise Rejected("score", "is missing")
    return answer


def read_preference(fields: Fields) -> Preference:
    """The preferences in a form with `part=preferences`.

    Raises:
        Rejected: a field breaks its rule, or nothing is said.
    """
    frequency, channel = _single(fields, "frequency"), _single(fields, "channel")
    if frequency is not None and frequency not in FREQUENCIES:
        raise Rejected("frequency", f"must be one of {', '.join(FREQUENCIES)}")
    if channel is not None and channel not in (*CHANNELS, ANY_CHANNEL):
        raise Rejected("channel", f"must be one of {', '.join((*CHANNELS, ANY_CHANNEL))}")
    if frequency is None and channel is None:
        raise Rejected("frequency", "is missing")
    return Preference(frequency, channel)


def _single(fields: Fields, name: str) -> str | None:
    values = fields.get(name, [])
    if len(values) > 1:
        raise Rejected(name, "is given more than once")
    return values[0] if values else None


def _flag(fields: Fields, name: str) -> bool | None:
    return _YES_OR_NO.get(_single(fields, name) or "")


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


def _follow_ups(fields: Fields) -> dict[str, int | None]:
    answered: dict[str, int | None] = {}
    for name, asked in FOLLOW_UPS.items():
        text = _single(fields, f"q.{name}")
        if text is None:
            continue
        if not text:
            answered[name] = None
            continue
        if not _WHOLE.fullmatch(text) or not asked.smallest <= int(text) <= asked.largest:
            raise Rejected(f"q.{name}", f"must be a whole number from {asked.smallest} to {asked.largest}")
        answered[name] = int(text)
    return answered


def given_follow_ups(fields: Fields) -> dict[str, int]:
    """The follow-up answers of a form that breaks no rule by itself, to show a form again; the others are left out."""
    given = {}
    for name, asked in FOLLOW_UPS.items():
        text = fields.get(f"q.{name}", [""])[0]
        if _WHOLE.fullmatch(text) and asked.smallest <= int(text) <= asked.largest:
            given[name] = int(text)
    return given


def _contact(fields: Fields) -> Contact:
    """What the person left beside the ticked box; without the tick nothing of it is read."""
    return contact_of(_single(fields, "contact_name") or "", _single(fields, "contact_address") or "")
