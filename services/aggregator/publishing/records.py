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
from services.aggregator.publishing.batches import SharedHeaders, WrittenBatch
from services.aggregator.publishing.hashes import murmur2_of
from services.chassis.postgres import Database
from services.chassis.record_batches import Record

_UNIT_SHIFT, _IN_UNIT = 32, (1 << 32) - 1
_MOST_KEPT = 1_000_000
_SCORES, _COUNTS = slice(2, 7), slice(7, 16)
_VALUE = b'%b,%b,"version":%d,"scores":[%b],"answers":%d,%b,"as_of":"%b"}'
_NAMED = b",".join(b'"%b":%%d' % name.encode() for name in COLUMNS[5:])


@dataclass(slots=True)
class CellRecords:
    """Makes records of cells: rows of cell, version and counters. Keeps what is encoded of units and windows."""

    sql: Mapping[str, str]
    _stamp: Stamp = field(default_factory=lambda: Stamp(source="/kvittera/aggregator", type=SATISFACTION_CELLS))
    _units: dict[int, tuple[bytes, bytes]] = field(default_factory=dict)
    _windows: dict[int, tuple[bytes, bytes]] = field(default_factory=dict)
    _counts: dict[bytes, bytes] = field(default_factory=dict)

    async def learn(self, connection: Database, cells: Int64) -> None:
        """Look up the names of the cells' units that are not known yet; those of a cut under construction have none."""
        for kept in (self._units, self._windows, self._counts):
            if len(kept) > _MOST_KEPT:
                kept.clear()
        missing = {*np.unique(cells >> _UNIT_SHIFT).tolist()} - self._units.keys()
        if missing:
            for unit in await connection.fetch(self.sql["names_of_units"], list(missing)):
                text = orjson.dumps({"cut": unit["cut"], "value": unit["value"]})[:-1]
                self._units[unit["id"]] = f"{unit['cut']}|{unit['value']}|".encode(), text

    def key(self, cell: int) -> bytes | None:
        """The record key of a cell: the same cell, the same key, for ever. None where its cut is not shown yet."""
        unit = self._units.get(cell >> _UNIT_SHIFT)
        return unit and unit[0] + self._window(cell)[0]

    def batches(self, rows: Int64, now: datetime, partitions: Sequence[int]) -> list[tuple[int, WrittenBatch]]:
        """The rows that are shown, as batches in the order in which each partition must get them.

        The same version of a cell has the same event id. `partitions` are all of the topic's, in order.
        """
        headers = SharedHeaders.of(self._stamp("-", now, None, tombstone=False), "ce_id")
        time = int(now.timestamp() * 1000)
        batches: list[tuple[int, WrittenBatch]] = []
        filling: dict[int, WrittenBatch] = {}
        told = self._records(rows, now.astimezone(UTC).isoformat().encode())
        for hashed, (key, value, own, version) in zip(murmur2_of([key for key, *_ in told]), told, strict=True):
            partition = partitions[(hashed & 0x7FFFFFFF) % len(partitions)]
            batch = filling.get(partition)
            if batch is None or not batch.add(key, value, own, version):
                batch = filling[partition] = WrittenBatch(time, headers)
                batches.append((partition, batch))
                batch.add(key, value, own, version)  # the first record always fits
        return batches

    def _records(self, rows: Int64, as_of: bytes) -> list[tuple[bytes, bytes, bytes, int]]:
        """Key, value, event id and version of each row that is shown."""
        found = []
        for cell, version, scores, answers, counts in zip(
            rows[:, 0].tolist(),
            rows[:, 1].tolist(),
            _texts(rows[:, _SCORES]),
            rows[:, _SCORES].sum(axis=1).tolist(),
            _texts(rows[:, _COUNTS]),
            strict=True,
        ):
            if (unit := self._units.get(cell >> _UNIT_SHIFT)) is None:
                continue
            window, when = self._windows.get(cell & _IN_UNIT) or self._window(cell)
            told = self._counts.get(counts) or self._told(counts)
            value = _VALUE % (unit[1], when, version, scores, answers, told, as_of)
            found.append((unit[0] + window, value, b"%x.%d" % (cell, version), version))
        return found

    def _told(self, counts: bytes) -> bytes:
        # Most cells are of few answers, so that few combinations of counts are met again and again.
        told = self._counts[counts] = _NAMED % tuple(map(int, counts.split(b",")))
        return told

    def tombstones(self, cells: Iterable[int], now: datetime) -> list[Record]:
        """The records that tell that cells are gone."""
        keys = [(cell, key) for cell in cells if (key := self.key(cell)) is not None]
        return [
            Record(SATISFACTION_CELLS, key, None, self._stamp(f"{cell:x}.gone", now, None, tombstone=True))
            for cell, key in keys
        ]

    def _window(self, cell: int) -> tuple[bytes, bytes]:
        found = self._windows.get(cell & _IN_UNIT)
        if found is None:
            _, window, index = unpack(cell)
            start = window_start(window, index)
            text = orjson.dumps({"window": window.value, "start": start})[1:-1]
            found = self._windows[cell & _IN_UNIT] = f"{window.value}|{start or ''}".encode(), text
        return found


def _texts(numbers: Int64) -> list[bytes]:
    """Each row as its numbers with commas between."""
    if not len(numbers):
        return []
    return orjson.dumps(np.ascontiguousarray(numbers), option=orjson.OPT_SERIALIZE_NUMPY)[2:-2].split(b"],[")
