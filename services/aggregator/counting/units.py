"""The short numbers of all units, and the windows in which each of them is counted."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from schemas.contract import without_controls
from services.aggregator.counting.cut_columns import ZONE, Columns, CutColumns
from services.aggregator.counting.cuts import JOINT, TOTAL, Cut, beside, cut_named
from services.aggregator.counting.deltas import STANDARD_MASK, Masks, Twins
from services.aggregator.counting.reading import Counted
from services.aggregator.counting.windows import mask_of, windows_in
from services.chassis.failures import Poison
from services.chassis.postgres import Database, Pool, named_sql

_MOST_KNOWN_UNITS = 2_000_000
_NO_UNIT = 0
UNKNOWN = -1
"""Stands for a unit, or for windows, that must be asked for."""
Units32 = NDArray[np.int32]


class _Known(dict[object, int]):
    """The units of a cut by their values, UNKNOWN for all others; a default handed in with each look costs more."""

    def __missing__(self, _: object) -> int:
        return UNKNOWN


@dataclass(slots=True)
class Units:
    """Finds the units of what is counted. New ones are committed at once and apart: a number is never taken back."""

    pool: Pool
    cuts: Sequence[Cut]
    version: int = 0
    """Of the stored cuts that `cuts` are; 0 before any were followed."""
    _known: defaultdict[str, _Known] = field(default_factory=lambda: defaultdict(_Known))
    _twins: dict[tuple[int, str], int] = field(default_factory=dict)
    _masks: Masks = field(default_factory=lambda: np.full(1024, UNKNOWN, np.int8))
    _columns: CutColumns = field(default_factory=lambda: CutColumns(()))
    _sql: Mapping[str, str] = field(
        default_factory=lambda: {
            **named_sql("services.aggregator"),
            **named_sql("services.aggregator", "cuts.sql"),
        }
    )

    async def follow(self, connection: Database) -> int:
        """Take over cuts that were changed since; call first in a transaction. Returns the first minute to count."""
        row = await connection.fetchrow(self._sql["follow"])
        if row is None:
            return 0
        if row["version"] != self.version:
            stored = await connection.fetch(self._sql["stored_cuts"])
            self.cuts = [cut_named(r["cut"], windows_in(r["windows"])) for r in stored]
            self.version = row["version"]
            self._known.clear()
            self._twins.clear()
            self._masks[:] = UNKNOWN
        return int(row["minutes_from"])

    async def of(self, counted: Sequence[Counted]) -> list[list[int]]:
        """The units that each record counts in; a cut by something that it lacks is left out."""
        return [[*filter(None, units)] for units in (await self.numbers(counted)).tolist()] if counted else []

    async def numbers(self, counted: Sequence[Counted]) -> Units32:
        """The unit of each record, at least one, in each cut of no series; 0 for a cut by something that it lacks.

        Raises:
            Poison: a value holds a control character.
        """
        columns = self.columns.of(counted)
        found = self.found(columns)
        if (found == UNKNOWN).any():
            if sum(map(len, self._known.values())) > _MOST_KNOWN_UNITS:
                self._known.clear()
            values = self.columns.values(columns)
            await self._learn([(cut, value) for cut, of_cut in values for value in self._unknown(cut, of_cut)])
            found = self.found(columns)
        return found

    def found(self, columns: Columns) -> Units32:
        """The unit of each record in each cut, as far as it is known by now; else UNKNOWN."""
        count = len(columns[ZONE])
        found = np.empty((count, len(self.columns.own)), np.int32)
        # Cut by cut instead of record by record: one dictionary is asked for a whole column.
        for place, (cut, values) in enumerate(self.columns.values(columns)):
            known = self._known[cut.name]
            units = map(known.__getitem__, values)
            found[:, place] = np.fromiter(units, np.int32, count) if cut.properties else known[()]
        return found

    @property
    def columns(self) -> CutColumns:
        """What the cuts ask for."""
        if self._columns.cuts is not self.cuts:
            self._columns = CutColumns(self.cuts)
        return self._columns

    async def twins(self, wanted: Collection[tuple[int, str]]) -> Twins:
        """The units of series beside units; taken from the units alone, so that an answer may change its series."""
        if len(self._twins) > _MOST_KNOWN_UNITS:
            self._twins.clear()
        missing = set(wanted) - self._twins.keys()
        counted = {cut.name for cut in self.cuts if cut.of_series}
        if not missing or not counted:
            return self._twins
        async with self.pool.acquire() as connection:
            rows = await connection.fetch(self._sql["units_by_number"], [unit for unit, _ in missing])
            places = {r["id"]: (r["cut"], r["value"]) for r in rows}
            named = {key: _beside(*places[key[0]], key[1]) for key in missing if key[0] in places}
            learnt = sorted({name for name in named.values() if name[0] in counted})
            cuts, values = [c for c, _ in learnt], [v for _, v in learnt]
            await connection.execute(self._sql["learn_units"], cuts, values)
            found = await connection.fetch(self._sql["find_units"], cuts, values)
        numbers = {(r["cut"], r["value"]): r["id"] for r in found}
        self._twins.update({key: numbers.get(named[key], _NO_UNIT) for key in named})
        return self._twins

    async def masks(self, connection: Database, units: Iterable[int], columns: Units32 | None = None) -> Masks:
        """The windows of units by their numbers, for at least these units, and those in columns."""
        wanted = np.fromiter(units, np.int64)
        if columns is not None:
            wanted = np.concatenate((wanted, columns[columns > 0]))
        if len(wanted) and (highest := int(wanted.max())) >= len(self._masks):
            grown = np.full(2 * highest, UNKNOWN, np.int8)
            grown[: len(self._masks)] = self._masks
            self._masks = grown
        unknown = np.unique(wanted[self._masks[wanted] == UNKNOWN]) if len(wanted) else wanted
        if len(unknown):
            own = {cut.name: mask_of(cut.windows) for cut in self.cuts}
            for row in await connection.fetch(self._sql["cuts_of_units"], unknown.tolist(), STANDARD_MASK):
                self._masks[row["id"]] = own.get(row["cut"], row["windows"])
        return self._masks

    def _unknown(self, cut: Cut, values: Sequence[object]) -> set[object]:
        known = self._known[cut.name]
        missing = set(values) - known.keys()
        for value in missing:
            if value is None or (isinstance(value, tuple) and None in value):
                known[value] = _NO_UNIT
        return missing - known.keys()

    async def _learn(self, missing: Sequence[tuple[Cut, object]]) -> None:
        if not missing:
            return
        named: dict[tuple[str, str], list[object]] = {}
        for cut, value in missing:
            named.setdefault((cut.name, _name_of(value)), []).append(value)
        cuts, values = zip(*sorted(named), strict=True)
        _refuse_unprintable(values)
        async with self.pool.acquire() as connection:
            await connection.execute(self._sql["learn_units"], cuts, values)
            for row in await connection.fetch(self._sql["find_units"], cuts, values):
                self._known[row["cut"]].update(dict.fromkeys(named[row["cut"], row["value"]], row["id"]))


def _beside(cut: str, value: str, series: str) -> tuple[str, str]:
    return beside(cut), series if cut == TOTAL else f"{value}{JOINT}{series}"


def _name_of(value: object) -> str:
    return JOINT.join(map(_text, value)) if isinstance(value, tuple) else _text(value)


def _refuse_unprintable(values: Iterable[str]) -> None:
    try:
        for value in values:
            without_controls(value)
    except ValueError:
        raise Poison("schema", "a value that is counted by holds a control character") from None


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
