"""What headers say of an answer that a program sends: Idempotency-Key, Tapped-At, If-Match and a revision's ETag."""

import re

from starlette.requests import Request

from services.survey.answers.recorded import OnlyIf
from services.survey.refusals import Refused

KEY = re.compile(r"[\x21-\x7e]{1,255}")
MOMENT = re.compile(r"[0-9]{1,15}")
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


def tapped_at_of(request: Request) -> int | None:
    """The moment of a tap in milliseconds, by a clock of the kiosk's own, if it came.

    Raises:
        Refused: it is not a number of 1 to 15 digits.
    """
    told = request.headers.get("tapped-at")
    if told is not None and not MOMENT.fullmatch(told):
        raise Refused("tapped-at", 422, "Tapped-At must be milliseconds in 1 to 15 digits")
    return None if told is None else int(told)


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
