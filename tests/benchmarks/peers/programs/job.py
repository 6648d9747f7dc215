"""The counting job of the peers that are written in Python: an answer read, and what it changes. Pure.

Seven counters of a cell are one number of seven lanes of 32 bits: adding them is one addition, and its bytes are
what is published. A lane may be borrowed from for a moment; sums are exact, since no counter ends below zero.
"""

from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import orjson

COUNTERS = 7
VALUE_BYTES = 4 * COUNTERS
_CUTS = (
    ("carrier", b"carrier|"),
    ("country", b"country|"),
    ("postcode_prefix", b"postcode_prefix|"),
    ("terminal", b"terminal|"),
    ("route", b"route|"),
    ("driver", b"driver|"),
    ("service_point", b"service_point|"),
    ("merchant_id", b"merchant|"),
    ("method", b"method|"),
)
_LANES = [1 << 32 * (COUNTERS - 1 - n) for n in range(COUNTERS)]


class Answer(NamedTuple):
    """One revision of a response; `counts` is what it adds to each cell, `hour` is on the wall clock since 1970."""

    response: bytes
    revision: int
    counts: int
    hour: int
    units: list[bytes]


class Reader:
    """Reads answers; zone rules are asked once per quarter of an hour, as the aggregator does."""

    def __init__(self) -> None:
        self._offsets: dict[tuple[str, int], int] = {}

    def read(self, value: bytes) -> Answer:
        """The answer in a record."""
        told = orjson.loads(value)
        delivery = told["delivery"]
        units = [b"total|"]
        units += [name + delivery[field].encode() for field, name in _CUTS]
        return Answer(
            bytes.fromhex(told["response_id"].replace("-", "")),
            told["revision"],
            packed(told["score"], commented=told["commented"], contested=told["contested"]),
            self._hour(delivery["occurred_at"], delivery["zone"]),
            units,
        )

    def _hour(self, text: str, zone: str) -> int:
        at = datetime.fromisoformat(text)
        seconds = int(at.timestamp())
        key = (zone, seconds // 900)
        offset = self._offsets.get(key)
        if offset is None:
            away = at.astimezone(ZoneInfo(zone)).utcoffset() or timedelta()
            offset = self._offsets[key] = int(away.total_seconds())
        return (seconds + offset) // 3600


def packed(score: int | None, *, commented: bool, contested: bool) -> int:
    """What an answer adds to a cell; a contested one is no satisfaction."""
    counts = _LANES[score - 1] if score is not None and not contested else 0
    if commented:
        counts += _LANES[5]
    if contested:
        counts += _LANES[6]
    return counts


def month_of(day: int) -> int:
    """The month since 1970 that a day since 1970 lies in."""
    date = datetime(1970, 1, 1) + timedelta(days=day)  # noqa: DTZ001  days of a wall clock
    return (date.year - 1970) * 12 + date.month - 1


def cell_keys(answer: Answer) -> list[bytes]:
    """The names of the thirty cells of an answer: its units by hour, day and month."""
    day = answer.hour // 24
    ends = (place(0, answer.hour), place(1, day), place(2, month_of(day)))
    return [unit + end for unit in answer.units for end in ends]


def place(window: int, index: int) -> bytes:
    """A window as it ends the name of a cell."""
    return bytes((window,)) + index.to_bytes(4, "big")


def written(counts: int) -> bytes:
    """The counters as they are published."""
    return counts.to_bytes(VALUE_BYTES, "big")


def read_counts(value: bytes) -> int:
    """The counters of a published value."""
    return int.from_bytes(value, "big")
