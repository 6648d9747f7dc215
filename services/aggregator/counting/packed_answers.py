"""Answers as rows of COPY's binary format, for the table's columns in their order.

The driver asks of each number in a list whether it is a list itself, which costs more than writing it.
"""

import struct
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from services.aggregator.counting.answers import Placed
from services.chassis.bigint_copy import HEADER, TRAILER

COLUMNS = ("response_id", "revision", "score", "commented", "contested", "local_hour", "units", "minute", "series")
_START = struct.pack(">hi", len(COLUMNS), 16)  # a uuid follows
_NULL = struct.pack(">i", -1)
_INT4_OID = 23


def packed_answers(placed: Sequence[Placed]) -> bytes:
    """The answers as COPY reads them."""
    units = np.empty((sum(len(p.units) for p in placed), 2), ">i4")
    units[:, 0] = 4  # the bytes of each
    units[:, 1] = [unit for p in placed for unit in p.units]
    elements, at = units.tobytes(), 0
    parts = [HEADER]
    for p in placed:
        a, end = p.answer, at + 8 * len(p.units)
        counting = _counting(a.revision, a.score, a.commented, a.contested)
        array = _array(len(p.units))
        parts += (_START, a.response_id.bytes, counting, _int4(p.minute // 60), array, elements[at:end])
        parts.append(_ending(p.minute % 60, a.series))
        at = end
    parts.append(TRAILER)
    return b"".join(parts)


@lru_cache(4096)
def _counting(revision: int, score: int | None, commented: bool, contested: bool) -> bytes:
    told = _NULL if score is None else struct.pack(">ih", 2, score)
    return struct.pack(">ii", 4, revision) + told + struct.pack(">i?i?", 1, commented, 1, contested)


@lru_cache(4096)
def _int4(number: int) -> bytes:
    return struct.pack(">ii", 4, number)


@lru_cache(256)
def _array(length: int) -> bytes:
    """What stands before the elements of an array of int4 without nulls."""
    if not length:
        return struct.pack(">iiii", 12, 0, 0, _INT4_OID)
    return struct.pack(">iiiiii", 20 + 8 * length, 1, 0, _INT4_OID, length, 1)


@lru_cache(1024)
def _ending(minute: int, series: str | None) -> bytes:
    told = _NULL if series is None else struct.pack(">i", len(series.encode())) + series.encode()
    return struct.pack(">ih", 2, minute) + told
