"""Where the next page of a list begins: behind the moment and the id of the last row on this one."""

import uuid
from datetime import datetime

Cursor = tuple[datetime, uuid.UUID]
_FIRST_YEAR, _LAST_YEAR = 1970, 2261


def in_our_time(moment: datetime) -> datetime:
    """A moment that a database and a calendar can both hold.

    Raises:
        ValueError: it is none, or has no zone.
    """
    if moment.tzinfo is None or not _FIRST_YEAR < moment.year < _LAST_YEAR:
        raise ValueError("no moment of ours")
    return moment


def written(cursor: Cursor) -> str:
    """As it stands in an address or a form."""
    return f"{cursor[0].isoformat()} {cursor[1]}"


def read_cursor(text: str) -> Cursor:
    """The cursor again.

    Raises:
        ValueError: it is none.
    """
    moment, _, row = text.partition(" ")
    return in_our_time(datetime.fromisoformat(moment)), uuid.UUID(row)
