"""What headers say of an answer that a program sends: Idempotency-Key, Visit, If-Match and a revision's ETag."""

import re
from dataclasses import dataclass

from starlette.requests import Request

from services.survey.answers.recorded import OnlyIf
from services.survey.refusals import Refused

KEY = re.compile(r"[\x21-\x7e]{1,255}")
VISIT = re.compile(r"([A-Za-z0-9-]{16,64})/([1-9][0-9]{0,5})")
_REVISIONS = re.compile(r'"(\d{1,9})"')


def idempotency_key(request: Request) -> str | None:
    """The Idempotency-Key, if one came.

    Raises:
        Refused: it is not 1 to 255 visible ASCII characters.
    """
    key = request.headers.get("idempotency-key")
    if key is not None and not KEY.fullmatch(key):
        raise Refused("idempotency-key", 422, "Idempotency-Key must be 1 to 255 visible ASCII characters")
    return key


@dataclass(frozen=True, slots=True)
class TapOf:
    """Whose tap it is.

    Attributes:
        visit: what the kiosk calls the person, drawn at random.
        tap: which tap of the person it is, from 1.
    """

    visit: str
    tap: int


def tap_of(request: Request) -> TapOf | None:
    """Whose tap it is, if Visit came.

    Raises:
        Refused: it is not an id of 16 to 64 letters, digits and hyphens, a slash and a number of 1 to 6 digits.
    """
    told = request.headers.get("visit")
    if told is None:
        return None
    found = VISIT.fullmatch(told)
    if found is None:
        raise Refused("visit", 422, "Visit must be 16 to 64 letters, digits and hyphens, a slash and a number from 1")
    return TapOf(found[1], int(found[2]))


def only_if(request: Request) -> OnlyIf | None:
    """The revisions that If-Match names; tags that are none of ours match nothing."""
    header = request.headers.get("if-match")
    if header is None:
        return None
    tags = [t.strip() for t in header.split(",")]
    found = (_REVISIONS.fullmatch(t) for t in tags)
    return OnlyIf(frozenset(int(f[1]) for f in found if f), any_revision="*" in tags)


def etag(revision: int) -> str:
    """The ETag of a revision."""
    return f'"{revision}"'
