"""Answers as rows of COPY's binary format, for the table's columns in their order.

The driver asks of each number in a list whether it is a list itself, which costs more than writing it.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from services.aggregator.counting.answer_columns import SERIES, AnswerColumns
from services.chassis.bigint_copy import HEADER, TRAILER, packed_array

COLUMNS = ("response_id", "revision", "score", "commented", "contested", "local_hour", "units", "minute", "series")
_NULL = -1
_INT4_OID, _UUID_OID = 23, 2950
_UNIT = np.dtype([("width", ">i4"), ("unit", ">i4")])
_Shape = tuple[int, bool, str | None]
"""What decides where the fields of a row are: the number of units, whether there is a score, the series."""


def packed_answers(answers: AnswerColumns) -> bytes:
    """The answers as COPY reads them, those of one shape together."""
    rows, units = answers.rows, answers.units
    count = np.count_nonzero(units, axis=1)
    shapes = (count * len(SERIES) + rows["series"]) * 2 + (rows["score"] > 0)
    parts: list[memoryview] = []
    for shape in np.unique(shapes).tolist():
        alike = shapes == shape
        places, scored = divmod(shape, 2)
        of_shape = (places // len(SERIES), bool(scored), SERIES[places % len(SERIES)])
        parts.append(_rows(of_shape, rows[alike], units[alike]))
    return b"".join((HEADER, *parts, TRAILER))


def packed_ids(answers: AnswerColumns) -> bytes:
    """One row with one array: the numbers of the responses, at least one."""
    ids = np.empty(len(answers), [("width", ">i4"), ("id", "V16")])
    ids["width"], ids["id"] = 16, answers.rows["id"]
    return packed_array(ids, _UUID_OID)


def _rows(shape: _Shape, answers: NDArray[np.void], in_cuts: NDArray[np.int32]) -> memoryview:
    units, scored, _ = shape
    rows = np.full(len(answers), _blank(shape))
    for field in ("response_id", "revision", "commented", "contested"):
        rows[field] = answers["id" if field == "response_id" else field]
    rows["local_hour"], rows["minute"] = answers["minute"] // 60, answers["minute"] % 60
    if scored:
        rows["score"] = answers["score"]
    if units:
        rows["units"]["unit"] = in_cuts[in_cuts > 0].reshape(-1, units)
    return rows.view(np.uint8).data


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
