"""Columns of bytes: a text or a number of each of many records, in as much room as the longest one takes.

What a record leaves of its room holds `FILL`, which is no byte of UTF-8. So all records are written column by column,
each with a few operations on arrays, and `told` leaves the room out that was not needed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.aggregator.counting.windows import Int64

Bytes = NDArray[np.uint8]
FILL: Final = 0xFF
MOST_VARINT: Final = (1 << 13) - 1
"""Varints up to this number take two bytes at most, and none of them is `FILL`."""
_SEVEN = 7  # bits of a number in a byte of its varint
_DIGITS = 4  # of a number written at once
_STEP = 10**_DIGITS
_NONE = -1  # the last of a table


@dataclass(frozen=True, slots=True)
class Column:
    """The bytes of each record with the room behind them, and how many they are."""

    texts: Bytes
    lengths: Int64

    def take(self, places: Int64) -> "Column":
        """Those at places, which may come several times."""
        return Column(self.texts.take(places, axis=0), self.lengths.take(places))


Parts = Sequence[Column | bytes]
"""What stands side by side in each record; bytes are the same in all of them."""


def texts(of: Sequence[bytes]) -> Column:
    """A column of texts."""
    width = max(map(len, of), default=0)
    filled = b"".join([text.ljust(width, b"\xff") for text in of])
    lengths = np.fromiter(map(len, of), np.int64, len(of))
    return Column(np.frombuffer(filled, np.uint8).reshape(len(of), width), lengths)


def numbers(of: Int64) -> Column:
    """A column of numbers in decimal digits.

    Raises:
        ValueError: one of them is negative.
    """
    if of.min(initial=0) < 0:
        raise ValueError("a number is negative")
    return _decimal(of)


def _decimal(of: Int64, *, nothing_for_0: bool = False) -> Column:
    most = int(of.max(initial=0))
    above, places = np.divmod(of, _STEP) if most >= _STEP else (None, of)
    if nothing_for_0:
        places = np.where(places > 0, places, _NONE)
    if above is None:
        return _digits(len(str(most))).take(places)
    upper = _decimal(above, nothing_for_0=True)
    # What stands behind other digits has its zeros.
    lower = _digits(_DIGITS).take(np.where(above > 0, of % _STEP + _STEP, places))
    return Column(np.hstack((upper.texts, lower.texts)), upper.lengths + lower.lengths)


@cache
def _digits(width: int) -> Column:
    """Each number of up to so many digits; of four also with leading zeros; last of all none."""
    leading = [b"%04d" % n for n in range(_STEP)] if width == _DIGITS else []
    return texts([*(b"%d" % n for n in range(10**width)), *leading, b""])


def varints(of: Int64) -> Column:
    """A column of numbers as Kafka writes them: zigzag, seven bits a byte.

    Raises:
        ValueError: one of them is longer than `MOST_VARINT` allows.
    """
    if of.max(initial=0) > MOST_VARINT:
        raise ValueError("a number is too long")
    zigzag = of << 1
    high = zigzag >> _SEVEN
    if not high.any():
        return Column(zigzag.astype(np.uint8).reshape(-1, 1), np.ones_like(of))
    two = zigzag & 0x7F | 0x80 | high << 8
    written = np.where(high > 0, two, zigzag | FILL << 8)
    return Column(written.astype("<u2").view(np.uint8).reshape(-1, 2), 1 + (high > 0))


def length(parts: Parts) -> Int64:
    """How many bytes each record takes."""
    columns = [part.lengths for part in parts if isinstance(part, Column)]
    return sum(columns[1:], columns[0] + sum(len(part) for part in parts if isinstance(part, bytes)))


def joined(parts: Parts) -> Bytes:
    """The parts side by side, a row for each record; at least one of them is a column."""
    row = b"".join([part if isinstance(part, bytes) else b"\xff" * part.texts.shape[1] for part in parts])
    columns = [part for part in parts if isinstance(part, Column)]
    rows = np.empty((len(columns[0].lengths), len(row)), np.uint8)
    rows[:] = np.frombuffer(row, np.uint8)
    first = 0
    for part in parts:
        width = len(part) if isinstance(part, bytes) else part.texts.shape[1]
        if isinstance(part, Column) and width:
            field = np.ndarray(len(rows), f"V{width}", rows, first, rows.strides[:1])
            field[:] = part.texts.view(f"V{width}").ravel()
        first += width
    return rows


def told(rows: Bytes) -> bytes:
    """The rows one behind the other, without the room that was not needed."""
    every = rows.ravel()
    found: Bytes = every[every != FILL]
    return found.tobytes()
