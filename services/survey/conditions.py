"""Under which conditions a program wants its answer kept: Idempotency-Key, If-Match and the ETag of a revision."""

import re

from starlette.requests import Request

from services.survey.answers.recorded import OnlyIf
from services.survey.refusals import Refused

KEY = re.compile(r"[\x21-\x7e]{1,255}")
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
