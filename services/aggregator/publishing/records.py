"""Cells as records of `satisfaction.cells.v1`, many at a time: what cells share is encoded once."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import asyncpg
import orjson

from schemas.cloudevents import Stamp
from schemas.topics import SATISFACTION_CELLS
from services.aggregator.counting.windows import unpack, window_start
from services.chassis.postgres import Database
from services.chassis.record_batches import Record

_UNIT_SHIFT, _IN_UNIT = 32, (1 << 32) - 1
_MOST_KEPT = 1_000_000
_VALUE = (
    b'%b,%b,"version":%d,"scores":[%d,%d,%d,%d,%d],"answers":%d,"delivered":%d,"asked":%d,"suppressed":%d,'
    b'"pending":%d,"failed":%d,"commented":%d,"contested":%d,"as_of":"%b"}'
)


@dataclass(slots=True)
class CellRecords:
    """Makes records of rows of `cells_by_key`; keeps the encoded names of units and windows."""

    sql: Mapping[str, str]
    _stamp: Stamp = field(default_factory=lambda: Stamp(source="/kvittera/aggregator", type=SATISFACTION_CELLS))
    _units: dict[int, tuple[bytes, bytes]] = field(default_factory=dict)
    _windows: dict[int, tuple[bytes, bytes]] = field(default_factory=dict)

    async def learn(self, connection: Database, cells: Iterable[int]) -> None:
        """Look up the names of the cells' units that are not known yet; those of a cut under construction have none."""
        for kept in (self._units, self._windows):
            if len(kept) > _MOST_KEPT:
                kept.clear()
        missing = {cell >> _UNIT_SHIFT for cell in cells} - self._units.keys()
        if missing:
            for unit in await connection.fetch(self.sql["names_of_units"], list(missing)):
                text = orjson.dumps({"cut": unit["cut"], "value": unit["value"]})[:-1]
                self._units[unit["id"]] = f"{unit['cut']}|{unit['value']}|".encode(), text

    def key(self, cell: int) -> bytes | None:
        """The record key of a cell: the same cell, the same key, for ever. None where its cut is not shown yet."""
        unit = self._units.get(cell >> _UNIT_SHIFT)
        return unit and unit[0] + self._window(cell)[0]

    def records(self, rows: Iterable[asyncpg.Record], now: datetime) -> list[Record]:
        """The records of the rows that are shown, in their order. The same version has the same event id."""
        as_of = now.astimezone(UTC).isoformat().encode()
        headers = self._stamp("-", now, None, tombstone=False)
        place = headers.index(("ce_id", b"-"))
        before, after = headers[:place], headers[place + 1 :]
        records = []
        for cell, version, *counters in rows:
            unit = self._units.get(cell >> _UNIT_SHIFT)
            if unit is None:
                continue
            key, about = unit
            window, when = self._window(cell)
            scores = counters[:5]
            value = _VALUE % (about, when, version, *scores, sum(scores), *counters[5:], as_of)
            named = [*before, ("ce_id", b"%x.%d" % (cell, version)), *after]
            records.append(Record(SATISFACTION_CELLS, key + window, value, named))
        return records

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
