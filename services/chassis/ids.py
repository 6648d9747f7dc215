"""Ids: those of ours begin with their moment, those of others may be none."""

import os
from datetime import datetime
from uuid import UUID

from asyncpg.pgproto import pgproto

_VERSION, _VARIANT = 0x7, 0b10


def time_ordered(now: datetime) -> UUID:
    """A UUID of version 7: its millisecond and 74 random bits (RFC 9562, 5.7).

    Ids made together lie together in an index, where random ones dirty a page each; and a range of ids is a range of
    time, so a table can be partitioned by month on its key. It is of asyncpg's kind, which is quicker to spell and to
    hand over.
    """
    drawn = int.from_bytes(os.urandom(10))
    first, last = drawn & 0xFFF, drawn >> 12 & (1 << 62) - 1
    milliseconds = int(now.timestamp() * 1000)
    made = milliseconds << 80 | _VERSION << 76 | first << 64 | _VARIANT << 62 | last
    found: UUID = pgproto.UUID(made.to_bytes(16))
    return found


def first_of(moment: datetime) -> UUID:
    """What sorts before every time-ordered id of this millisecond and after all earlier ones."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)


def read_uuid(text: str) -> UUID | None:
    """The UUID in a text from outside; None for none."""
    try:
        return UUID(text)
    except ValueError:
        return None
