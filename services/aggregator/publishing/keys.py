"""From the keys of records back to cells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import asyncpg

from schemas.satisfaction import Window
from services.aggregator.counting.windows import base_of, last_of, window_index
from services.chassis.postgres import Database

_UNIT_SHIFT = 32
_MOST_KEPT = 1_000_000
_Names = tuple[str, str]


@dataclass(slots=True)
class CellKeys:
    """Finds the cells that keys name, by the units of today."""

    sql: Mapping[str, str]
    _windows: dict[str, int | None] = field(default_factory=dict)

    async def cells(self, connection: Database, keys: Sequence[bytes]) -> list[int | None]:
        """The cell of each key; None where it names none, or one of a dropped cut."""
        if len(self._windows) > _MOST_KEPT:
            self._windows.clear()
        read = [self._read(key) for key in keys]
        rows = await self._units(connection, "find_units", read)
        units: dict[_Names, int] = {(row["cut"], row["value"]): row["id"] for row in rows}
        return [units[found[0]] << _UNIT_SHIFT | found[1] if found and found[0] in units else None for found in read]

    async def of_dropped_cuts(self, connection: Database, keys: Sequence[bytes]) -> list[bytes]:
        """Those that name a cell of a dropped cut, and of none of today."""
        read = [self._read(key) for key in keys]
        dropped = {(r["cut"], r["value"]) for r in await self._units(connection, "find_dropped_units", read)}
        return [key for key, found in zip(keys, read, strict=True) if found and found[0] in dropped]

    async def _units(
        self, connection: Database, query: str, read: Sequence[tuple[_Names, int] | None]
    ) -> list[asyncpg.Record]:
        names = list({found[0] for found in read if found is not None})
        cuts, values = [cut for cut, _ in names], [value for _, value in names]
        return await connection.fetch(self.sql[query], cuts, values)

    def _read(self, key: bytes) -> tuple[_Names, int] | None:
        """Cut and value, and the window: a value may hold any letter, the others no `|`."""
        try:
            unit, window, start = key.decode().rsplit("|", 2)
            cut, value = unit.split("|", 1)
        except ValueError:
            return None
        place = self._windows.get(of := f"{window}|{start}", -1)
        if place == -1:
            place = self._windows[of] = _place(window, start)
        return None if place is None or "\0" in unit else ((cut, value), place)


def _place(window: str, start: str) -> int | None:
    try:
        of = Window(window)
        index = 0 if of is Window.ALL else window_index(of, start)
    except ValueError:
        return None
    return base_of(of) + index if index <= last_of(of) else None
