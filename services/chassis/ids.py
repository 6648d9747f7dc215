"""Ids that begin with their moment."""

import secrets
from datetime import datetime
from uuid import UUID


def time_ordered(now: datetime) -> UUID:
    """A UUID of version 7: its millisecond and 74 random bits (RFC 9562, 5.7).

    Ids made together lie together in an index, where random ones dirty a page each; and a range of ids is a range of
    time, so a table can be partitioned by month on its key.
    """
    milliseconds = int(now.timestamp() * 1000)
    version, variant = 0x7, 0b10
    return UUID(
        int=milliseconds << 80 | version << 76 | secrets.randbits(12) << 64 | variant << 62 | secrets.randbits(62)
    )
