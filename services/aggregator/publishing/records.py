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
_MOST_COUNTERS = 200_000  # 400 bytes each
_SCORES, _COUNTS = slice(0, 5), slice(5, len(COLUMNS))
_COUNTERS = b',"scores":[%b],"answers":%b' + b"".join(b',"%b":%%b' % name.encode() for name in COLUMNS[5:])
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
        for kept in (self._units, self._windows):
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
        return unit and unit[0] + self._window(cell & _IN_UNIT)[0]

    def batches(self, rows: Int64, now: datetime, partitions: Sequence[int]) -> list[tuple[int, WrittenBatch]]:
        """The rows that are shown, as batches in the order in which each partition must get them.

        The same version of a cell has the same event id. `partitions` are all of the topic's, in order.
        """
        shown = np.fromiter(map(self._units.__contains__, (rows[:, 0] >> _UNIT_SHIFT).tolist()), bool, len(rows))
        rows = rows[shown]
        units, windows = self._parts(rows)
        keys = [unit[0] + window[0] for unit, window in zip(units, windows, strict=True)]
        of = (murmur2_of(keys) & _POSITIVE) % len(partitions)
        # By partition first, so that each one's records lie together in every column.
        order = np.argsort(of, kind="stable")
        told = self._told([keys[n] for n in order.tolist()], rows[order], now)
        ends = np.searchsorted(of[order], np.arange(len(partitions) + 1)).tolist()
        headers = SharedHeaders.of(self._stamp("-", now, None, tombstone=False), "ce_id")
        time = int(now.timestamp() * 1000)
        return [
            (partition, batch)
            for partition, first, end in zip(partitions, ends, ends[1:], strict=False)
            for batch in written(told.some(slice(first, end)), time, headers)
        ]

    def _parts(self, rows: Int64) -> tuple[list[_Part], list[_Part]]:
        """What units and windows give to the records of rows."""
        units = [*map(self._units.__getitem__, (rows[:, 0] >> _UNIT_SHIFT).tolist())]
        places = (rows[:, 0] & _IN_UNIT).tolist()
        return units, [self._windows.get(place) or self._window(place) for place in places]

    def _told(self, keys: Sequence[bytes], rows: Int64, now: datetime) -> Told:
        """The records of rows that are shown."""
        units, windows = self._parts(rows)
        versions = _texts(rows[:, 1:2])
        tail = b',"as_of":"%b"}' % now.astimezone(UTC).isoformat().encode()
        values = (
            [unit[1] for unit in units],
            [window[1] for window in windows],
            versions,
            self._counters(rows[:, 2:]),
            [tail] * len(rows),
        )
        own = ([unit[2] for unit in units], [window[2] for window in windows], versions)
        return Told(keys, values, own, rows[:, 1].tolist())

    def _counters(self, counters: Int64) -> list[bytes]:
        """What a value says of each row of counters. Most cells are of few answers, so few kinds are met often."""
        if len(self._counts) > _MOST_COUNTERS:
            self._counts.clear()
        kinds = np.ascontiguousarray(counters).view(f"V{counters.itemsize * len(COLUMNS)}").ravel().tolist()
        missing = {kind: place for place, kind in enumerate(kinds) if kind not in self._counts}
        new = counters[[*missing.values()]]
        scores, answers = _texts(new[:, _SCORES]), _texts(new[:, _SCORES].sum(axis=1, keepdims=True))
        for kind, *told in zip(missing, scores, answers, _texts(new[:, _COUNTS]), strict=True):
            self._counts[kind] = _COUNTERS % (*told[:2], *told[2].split(b","))
        return [*map(self._counts.__getitem__, kinds)]

    def tombstones(self, cells: Iterable[int], now: datetime) -> list[Record]:
        """The records that tell that cells are gone."""
        keys = [(cell, key) for cell in cells if (key := self.key(cell)) is not None]
        return [
            Record(SATISFACTION_CELLS, key, None, self._stamp(f"{cell:x}.gone", now, None, tombstone=True))
            for cell, key in keys
        ]

    def _window(self, place: int) -> _Part:
        found = self._windows.get(place)
        if found is None:
            _, window, index = unpack(place)
            start = window_start(window, index)
            text = orjson.dumps({"window": window.value, "start": start})[1:-1] + b',"version":'
            found = self._windows[place] = f"{window.value}|{start or ''}".encode(), text, b"%08x." % place
        return found


def _texts(numbers: Int64) -> list[bytes]:
    """Each row as its numbers with commas between."""
    if not len(numbers):
        return []
    return orjson.dumps(np.ascontiguousarray(numbers), option=orjson.OPT_SERIALIZE_NUMPY)[2:-2].split(b"],[")
