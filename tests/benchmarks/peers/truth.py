"""What every system must have counted, folded in plain Python, and the check that refuses one that counted otherwise.

A cell is named as the peers name it: `cut|value`, a byte for the window (0 hour, 1 day, 2 month) and four for its
number since 1970 on the wall clock of the delivery. This fold shares no code with any system.
"""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

import orjson

Cells = Mapping[bytes, tuple[int, ...]]
"""Scores 1 to 5, commented and contested of each cell; a cell of nothing but zeros is left out."""
COUNTERS = 7
CUTS = {
    "carrier": "carrier",
    "country": "country",
    "postcode_prefix": "postcode_prefix",
    "terminal": "terminal",
    "route": "route",
    "driver": "driver",
    "service_point": "service_point",
    "merchant": "merchant_id",
    "method": "method",
}
"""Each cut with its field of the delivery; the total is the tenth."""
WINDOWS = ("hour", "day", "month")
_PLACE = struct.Struct(">BI")
_NOTHING = (0,) * COUNTERS


@dataclass(frozen=True, slots=True)
class Source:
    """A topic with records, and what is true of them."""

    topic: str
    records: int
    truth: Cells


class WrongCountsError(Exception):
    """A system counted otherwise than the plain fold, so its speed says nothing."""


def cell_key(unit: bytes, window: int, index: int) -> bytes:
    """The name of a cell."""
    return unit + _PLACE.pack(window, index)


def count(values: Iterable[bytes]) -> Cells:
    """Fold records in the order of their topic: of each response the highest revision holds."""
    last: dict[str, dict[str, object]] = {}
    for value in values:
        answer = orjson.loads(value)
        known = last.get(answer["response_id"])
        if known is None or answer["revision"] > known["revision"]:
            last[answer["response_id"]] = answer
    cells: dict[bytes, list[int]] = {}
    for answer in last.values():
        columns = _columns(answer)
        for key in _cells_of(answer["delivery"]):
            counters = cells.setdefault(key, [0] * COUNTERS)
            for column in columns:
                counters[column] += 1
    return {key: found for key, counters in cells.items() if (found := tuple(counters)) != _NOTHING}


def check(name: str, found: Cells, truth: Cells) -> None:
    """Refuse a system that published other counters.

    Raises:
        WrongCountsError: says how many cells differ, and shows one of them.
    """
    counted = {key: counters for key, counters in found.items() if counters != _NOTHING}
    differing = [key for key in counted.keys() | truth.keys() if counted.get(key) != truth.get(key)]
    if differing:
        key = min(differing)
        raise WrongCountsError(
            f"{name}: {len(differing):,} of {len(truth):,} cells are wrong, such as {_shown(key)}:"
            f" {counted.get(key, _NOTHING)} published, {truth.get(key, _NOTHING)} true"
        )


def _columns(answer: Mapping[str, object]) -> list[int]:
    score = answer["score"]
    columns = [score - 1] if isinstance(score, int) and not answer["contested"] else []
    return columns + [5] * bool(answer["commented"]) + [6] * bool(answer["contested"])


def _cells_of(delivery: object) -> Iterable[bytes]:
    assert isinstance(delivery, dict)
    windows = _windows(delivery["occurred_at"], delivery["zone"])
    units = ["total|", *[f"{cut}|{delivery[field]}" for cut, field in CUTS.items() if delivery[field] is not None]]
    return (cell_key(unit.encode(), window, index) for unit in units for window, index in enumerate(windows))


@lru_cache(100_000)
def _windows(occurred_at: str, zone: str) -> tuple[int, int, int]:
    local = datetime.fromisoformat(occurred_at).astimezone(ZoneInfo(zone))
    hours = int(local.replace(tzinfo=UTC).timestamp()) // 3600
    return hours, hours // 24, (local.year - 1970) * 12 + local.month - 1


def _shown(key: bytes) -> str:
    window, index = _PLACE.unpack(key[-_PLACE.size :])
    return f"{key[: -_PLACE.size].decode()} {WINDOWS[window]} {index}"
