"""Answers as rows of COPY's binary format, for the table's columns in their order.

The driver asks of each number in a list whether it is a list itself, which costs more than writing it.
"""

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from services.aggregator.counting.answers import Placed
from services.chassis.bigint_copy import HEADER, TRAILER

COLUMNS = ("response_id", "revision", "score", "commented", "contested", "local_hour", "units", "minute", "series")
_NULL = -1
_INT4_OID = 23
_UNIT = np.dtype([("width", ">i4"), ("unit", ">i4")])
_Shape = tuple[int, bool, str | None]
"""What decides where the fields of a row are: the number of units, whether there is a score, the series."""


def packed_answers(placed: Sequence[Placed]) -> bytes:
    """The answers as COPY reads them, those of one shape together."""
    shapes: dict[_Shape, list[Placed]] = defaultdict(list)
    for p in placed:
        shapes[len(p.units), p.answer.score is not None, p.answer.series].append(p)
    return b"".join((HEADER, *[_rows(shape, alike) for shape, alike in shapes.items()], TRAILER))


def _rows(shape: _Shape, placed: Sequence[Placed]) -> bytes:
    units, scored, _ = shape
    answers, minutes = [p.answer for p in placed], np.array([p.minute for p in placed])
    rows = np.full(len(placed), _blank(shape))
    rows["response_id"] = np.frombuffer(b"".join([a.response_id.int.to_bytes(16, "big") for a in answers]), "V16")
    rows["revision"] = [a.revision for a in answers]
    rows["commented"] = [a.commented for a in answers]
    rows["contested"] = [a.contested for a in answers]
    rows["local_hour"], rows["minute"] = minutes // 60, minutes % 60
    if scored:
        rows["score"] = [a.score for a in answers]
    if units:
        rows["units"]["unit"] = np.array([p.units for p in placed], np.int32)
    return rows.tobytes()


@lru_cache(1024)
def _blank(shape: _Shape) -> NDArray[np.void]:
    """A row with all that the rows of a shape share: the widths of the fields, and the series."""
    units, scored, series = shape
    told = b"" if series is None else series.encode()
    some = units > 0
    # An array is told by its dimensions (one, or none without elements), that none is null, type, length, first index.
    header: list[tuple[str, str, int]] = [("array", ">i4", 12 + some * (8 + 8 * units)), ("dimensions", ">i4", some)]
    header += [("nulls", ">i4", 0), ("type", ">i4", _INT4_OID)]
    header += [("length", ">i4", units), ("first", ">i4", 1)] * some
    fields: list[tuple[str, object, object]] = [
        *[("columns", ">i2", len(COLUMNS)), ("id", ">i4", 16), ("response_id", "V16", bytes(16))],
        *[("revision_width", ">i4", 4), ("revision", ">i4", 0), ("score_width", ">i4", 2 if scored else _NULL)],
        *[("score", ">i2", 0)] * scored,
        *[("commented_width", ">i4", 1), ("commented", "?", False), ("contested_width", ">i4", 1)],
        *[("contested", "?", False), ("hour_width", ">i4", 4), ("local_hour", ">i4", 0), *header],
        *[("units", np.dtype((_UNIT, (units,))), (4, 0))] * some,
        *[("minute_width", ">i4", 2), ("minute", ">i2", 0)],
        *[("series_width", ">i4", _NULL if series is None else len(told)), ("series", f"V{len(told)}", told)],
    ]
    row = np.zeros((), [(name, of) for name, of, _ in fields])
    for name, _, value in fields:
        row[name] = value
    return row
