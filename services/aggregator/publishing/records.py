"""Cells as records of `satisfaction.cells.v1`, many at a time: what cells share is encoded once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import orjson

from schemas.cloudevents import Stamp
from schemas.topics import SATISFACTION_CELLS
from services.aggregator.counting.deltas import COLUMNS
from services.aggregator.counting.windows import Int64, unpack, window_start
from services.aggregator.publishing.batches import SharedHeaders, Told, WrittenBatch, written
from services.aggregator.publishing.hashes import murmur2_of
from services.chassis.postgres import Database
from services.chassis.record_batches import Record

_UNIT_SHIFT, _IN_UNIT = 32, (1 << 32) - 1
_POSITIVE = np.uint32(0x7FFFFFFF)  # Kafka leaves the sign of a hash out
_MOST_KEPT = 1_000_000
_SCORES, _COUNTS = slice(2, 7), slice(7, 16)
_NAMED = b"".join(b',"%b":%%b' % name.encode() for name in COLUMNS[5:])
_Part = tuple[bytes, bytes, bytes]
"""What a unit or a window gives to a record's key, value and event id."""


@dataclass(slots=True)
class CellRecords:
    """Makes records of cells: rows of cell, version and counters. Keeps what is encoded of units and windows."""

    sql: Mapping[str, str]
    _stamp: Stamp = field(default_factory=lambda: Stamp(source="/kvittera/aggregator", type=SATISFACTION_CELLS))
    _units: dict[int, _Part] = field(default_factory=dict)
    _windows: dict[int, _Part] = field(default_factory=dict)
    _counts: dict[bytes, bytes] = field(default_factory=dict)

    async def learn(self, connection: Database, cells: Int64) -> None:
        """Look up the names of the cells' units that are not known yet; those of a cut under construction have none."""
        for kept in (self._units, self._windows, self._counts):
            if len(kept) > _MOST_KEPT:
                kept.clear()
        missing = {*np.unique(cells >> _UNIT_SHIFT).tolist()} - self._units.keys()
        if missing:
            for unit in await connection.fetch(self.sql["names_of_units"], list(missing)):
                text = orjson.dumps({"cut": unit["cut"], "value": unit["value"]})[:-1] + b","
                self._units[unit["id"]] = f"{unit['cut']}|{unit['value']}|".encode(), text, b"%x" % unit["id"]

    def key(self, cell: int) -> bytes | None:
        """The record key of a cell: the same cell, the same key, for ever. None where its cut is not shown yet."""
        unit = self._units.get(cell >> _UNIT_SHIFT)
        return unit and unit[0] + self._window(cell)[0]

    def batches(self, rows: Int64, now: datetime, partitions: Sequence[int]) -> list[tuple[int, WrittenBatch]]:
        """The rows that are shown, as batches in the order in which each partition must get them.

        The same version of a cell has the same event id. `partitions` are all of the topic's, in order.
        """
        headers = SharedHeaders.of(self._stamp("-", now, None, tombstone=False), "ce_id")
        told = self._records(rows, b',"as_of":"%b"}' % now.astimezone(UTC).isoformat().encode())
        of = (murmur2_of([key for key, *_ in told]) & _POSITIVE) % len(partitions)
        time = int(now.timestamp() * 1000)
        return [
            (partition, batch)
            for place, partition in enumerate(partitions)
            for batch in written([told[n] for n in np.flatnonzero(of == place).tolist()], time, headers)
        ]

    def _records(self, rows: Int64, tail: bytes) -> list[Told]:
        """Each row that is shown; `tail` ends each value."""
        found: list[Told] = []
        # Numbers are written all at once; what cells share is looked up.
        for cell, number, version, scores, answers, counts in zip(
            rows[:, 0].tolist(),
            rows[:, 1].tolist(),
            _texts(rows[:, 1:2]),
            _texts(rows[:, _SCORES]),
            _texts(rows[:, _SCORES].sum(axis=1, keepdims=True)),
            _texts(rows[:, _COUNTS]),
            strict=True,
        ):
            if (unit := self._units.get(cell >> _UNIT_SHIFT)) is None:
                continue
            window = self._windows.get(cell & _IN_UNIT) or self._window(cell)
            told = self._counts.get(counts) or self._told(counts)
            parts = (unit[1], window[1], version, b',"scores":[', scores, b'],"answers":', answers, told, tail)
            found.append((unit[0] + window[0], b"".join(parts), unit[2] + window[2] + version, number))
        return found

    def _told(self, counts: bytes) -> bytes:
        # Most cells are of few answers, so that few combinations of counts are met again and again.
        told = self._counts[counts] = _NAMED % tuple(counts.split(b","))
        return told

    def tombstones(self, cells: Iterable[int], now: datetime) -> list[Record]:
        """The records that tell that cells are gone."""
        keys = [(cell, key) for cell in cells if (key := self.key(cell)) is not None]
        return [
            Record(SATISFACTION_CELLS, key, None, self._stamp(f"{cell:x}.gone", now, None, tombstone=True))
            for cell, key in keys
        ]

    def _window(self, cell: int) -> _Part:
        found = self._windows.get(cell & _IN_UNIT)
        if found is None:
            _, window, index = unpack(cell)
            start = window_start(window, index)
            text = orjson.dumps({"window": window.value, "start": start})[1:-1] + b',"version":'
            key, own = f"{window.value}|{start or ''}".encode(), b"%08x." % (cell & _IN_UNIT)
            found = self._windows[cell & _IN_UNIT] = key, text, own
        return found


def _texts(numbers: Int64) -> list[bytes]:
    """Each row as its numbers with commas between."""
    if not len(numbers):
        return []
    return orjson.dumps(np.ascontiguousarray(numbers), option=orjson.OPT_SERIALIZE_NUMPY)[2:-2].split(b"],[")
