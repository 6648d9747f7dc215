"""Cells as records of `satisfaction.cells.v1`, many at a time, in columns."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from itertools import chain
from typing import NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from schemas.cloudevents import Stamp
from schemas.topics import SATISFACTION_CELLS
from services.aggregator.counting.deltas import COLUMNS
from services.aggregator.counting.windows import Int64, unpack, window_start
from services.aggregator.publishing.batches import Records, SharedHeaders, WrittenBatch, written
from services.aggregator.publishing.columns import MOST_VARINT, Column, numbers, texts
from services.aggregator.publishing.hashes import murmur2_of
from services.chassis.postgres import Database
from services.chassis.record_batches import Record

_UNIT_SHIFT, _IN_UNIT = 32, (1 << 32) - 1
_POSITIVE = np.uint32(0x7FFFFFFF)  # Kafka leaves the sign of a hash out
_MOST_KEPT = 1_000_000
_LONGEST_NAME = MOST_VARINT // 2  # of a unit, in key and value together; the rest of a record is about 700 bytes
_WIDTH = 2 + len(COLUMNS)
_SCORES, _COUNTS = slice(2, 7), slice(7, _WIDTH)
_BEFORE_NUMBERS = (b"", b',"scores":[', *[b","] * 4, b'],"answers":', *(f',"{name}":'.encode() for name in COLUMNS[5:]))
_Part = tuple[bytes, bytes, bytes]
"""What a unit or a window gives to a record's key, value and event id."""


class CellBatch(NamedTuple):
    """A batch for one partition, with the rows of cell and version that it tells, in their order."""

    partition: int
    batch: WrittenBatch
    told: Int64


@dataclass(slots=True)
class CellRecords:
    """Makes records of cells: rows of cell, version and counters. Keeps what is encoded of units and windows."""

    sql: Mapping[str, str]
    _stamp: Stamp = field(default_factory=lambda: Stamp(source="/kvittera/aggregator", type=SATISFACTION_CELLS))
    _units: dict[int, _Part] = field(default_factory=dict)
    _windows: dict[int, _Part] = field(default_factory=dict)
    _long: set[int] = field(default_factory=set)
    """Units whose names are longer than columns take."""

    async def learn(self, connection: Database, cells: Int64) -> None:
        """Look up the names of the cells' units that are not known yet; those of a cut under construction have none."""
        for kept in (self._units, self._windows):
            if len(kept) > _MOST_KEPT:
                kept.clear()
        missing = {*_runs(cells >> _UNIT_SHIFT)[0].tolist()} - self._units.keys()
        if missing:
            for unit in await connection.fetch(self.sql["names_of_units"], list(missing)):
                text = orjson.dumps({"cut": unit["cut"], "value": unit["value"]})[:-1] + b","
                key = f"{unit['cut']}|{unit['value']}|".encode()
                self._units[unit["id"]] = key, text, b"%x" % unit["id"]
                if len(key) + len(text) > _LONGEST_NAME:
                    self._long.add(unit["id"])

    def key(self, cell: int) -> bytes | None:
        """The record key of a cell: the same cell, the same key, for ever. None where its cut is not shown yet."""
        unit = self._units.get(cell >> _UNIT_SHIFT)
        return unit and unit[0] + self._window(cell & _IN_UNIT)[0]

    def batches(self, rows: Int64, now: datetime, partitions: Sequence[int]) -> list[CellBatch]:
        """The rows that are shown, as batches in the order in which each partition must get them.

        The same version of a cell has the same event id. `partitions` are all of the topic's, in order. What `others`
        tells is left out.
        """
        rows = rows[self._fit(rows)]
        if not len(rows):
            return []
        unit, of_unit = _runs(rows[:, 0] >> _UNIT_SHIFT)
        window, of_window = np.unique(rows[:, 0] & _IN_UNIT, return_inverse=True)
        units = _columns([*map(self._units.__getitem__, unit.tolist())])
        windows = _columns([*map(self._window, window.tolist())])
        of = murmur2_of([units[0].take(of_unit), windows[0].take(of_window)]) & _POSITIVE
        of = (of % np.uint32(len(partitions))).astype(np.uint16)
        # By partition first, so that each one's records lie together.
        order = np.argsort(of, kind="stable")
        ends = np.searchsorted(of[order], np.arange(len(partitions)), "right").tolist()
        records = _records(
            [column.take(of_unit[order]) for column in units],
            [column.take(of_window[order]) for column in windows],
            rows[order],
            _tail(now),
        )
        headers = SharedHeaders.of(self._stamp("-", now, None, tombstone=False), "ce_id")
        found = written(records, ends, int(now.timestamp() * 1000), headers)
        told = np.split(rows[order, :2], np.cumsum([batch.count for of_one in found for batch in of_one]))
        batches = [(partition, batch) for partition, of_one in zip(partitions, found, strict=True) for batch in of_one]
        return [CellBatch(*batch, rows) for batch, rows in zip(batches, told, strict=False)]

    def others(self, rows: Int64, now: datetime) -> list[Record]:
        """The rows that are shown and too strange for columns: very long names, and numbers that cannot be."""
        return [
            self._other(row, now) for row in rows[~self._fit(rows)].tolist() if row[0] >> _UNIT_SHIFT in self._units
        ]

    def tombstones(self, cells: Iterable[int], now: datetime) -> list[Record]:
        """The records that tell that cells are gone."""
        keys = [(cell, key) for cell in cells if (key := self.key(cell)) is not None]
        return [self._tombstone(f"{cell:x}.gone", key, now) for cell, key in keys]

    def strays_gone(self, keys: Iterable[bytes], now: datetime) -> list[Record]:
        """The records that tell that the cells of keys are gone which no unit of today has."""
        return [self._tombstone(f"{sha256(key).hexdigest()[:32]}.gone", key, now) for key in keys]

    def _tombstone(self, event_id: str, key: bytes, now: datetime) -> Record:
        return Record(SATISFACTION_CELLS, key, None, self._stamp(event_id, now, None, tombstone=True))

    def _fit(self, rows: Int64) -> NDArray[np.bool_]:
        """Which rows are shown and no longer than columns take."""
        unit, of_unit = _runs(rows[:, 0] >> _UNIT_SHIFT)
        ids = unit.tolist()
        if rows.min(initial=0) >= 0 and self._units.keys() >= {*ids} and self._long.isdisjoint(ids):
            return np.ones(len(rows), bool)
        fit = np.fromiter((n in self._units and n not in self._long for n in ids), bool, len(ids))
        return fit[of_unit] & (rows >= 0).all(axis=1)

    def _other(self, row: Sequence[int], now: datetime) -> Record:
        cell, version, *counters = row
        unit, window = self._units[cell >> _UNIT_SHIFT], self._window(cell & _IN_UNIT)
        told = version, *counters[:5], sum(counters[:5]), *counters[5:]
        texts_of = chain.from_iterable((before, b"%d" % n) for before, n in zip(_BEFORE_NUMBERS, told, strict=True))
        value = b"".join((unit[1], window[1], *texts_of, _tail(now)))
        event_id = unit[2] + window[2] + b"%d" % version
        headers = self._stamp(event_id.decode(), now, None, tombstone=False)
        return Record(SATISFACTION_CELLS, unit[0] + window[0], value, headers)

    def _window(self, place: int) -> _Part:
        found = self._windows.get(place)
        if found is None:
            _, window, index = unpack(place)
            start = window_start(window, index)
            text = orjson.dumps({"window": window.value, "start": start})[1:-1] + b',"version":'
            found = self._windows[place] = f"{window.value}|{start or ''}".encode(), text, b"%08x." % place
        return found


def _runs(of: Int64) -> tuple[Int64, Int64]:
    """What stands there several times in a row, once, and where it is for each; rows mostly come by unit."""
    begins = np.append(np.ones(min(1, len(of)), bool), of[1:] != of[:-1])
    return of[begins], np.cumsum(begins) - 1


def _columns(parts: Sequence[_Part]) -> list[Column]:
    return [texts([part[place] for part in parts]) for place in range(3)]


def _records(units: Sequence[Column], windows: Sequence[Column], rows: Int64, tail: bytes) -> Records:
    """The records of rows that are shown."""
    version = numbers(rows[:, 1])
    told = [version, *(numbers(rows[:, n]) for n in range(*_SCORES.indices(_WIDTH)))]
    told += [numbers(rows[:, _SCORES].sum(axis=1)), *(numbers(rows[:, n]) for n in range(*_COUNTS.indices(_WIDTH)))]
    value: list[Column | bytes] = [units[1], windows[1]]
    value += chain.from_iterable(zip(_BEFORE_NUMBERS, told, strict=True))
    return Records([units[0], windows[0]], [*value, tail], [units[2], windows[2], version])


def _tail(now: datetime) -> bytes:
    return b',"as_of":"%b"}' % now.astimezone(UTC).isoformat().encode()
