"""The counters of the write-behind program: folded at the hour, rolled up when they are written. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.benchmarks.peers.programs.job import Reader, month_of

_UNIT_SHIFT, _WINDOW_SHIFT = 32, 30


@dataclass(slots=True)
class Counters:
    """All that was counted, and what of it changed since it was written or published.

    A cell is one number: its unit, its window (0 hour, 1 day, 2 month) and the window's number.
    """

    last: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    """Revision and counts of each response."""
    cells: dict[int, int] = field(default_factory=dict)
    units: dict[bytes, int] = field(default_factory=dict)
    names: list[bytes] = field(default_factory=list)
    answers_changed: set[bytes] = field(default_factory=set)
    units_written: int = 0
    _hours: dict[int, int] = field(default_factory=dict)
    _reader: Reader = field(default_factory=Reader)

    def learn(self, name: bytes) -> int:
        """The number of a unit; a new one gets the next."""
        unit = self.units[name] = len(self.names)
        self.names.append(name)
        return unit

    def add(self, values: Iterable[bytes]) -> None:
        """Count records in the order of their partition."""
        last, hours, units, read = self.last, self._hours, self.units, self._reader.read
        for value in values:
            response, revision, counts, hour, names = read(value)
            old = last.get(response)
            if old is not None and old[0] >= revision:
                continue
            last[response] = (revision, counts)
            self.answers_changed.add(response)
            change = counts if old is None else counts - old[1]
            for name in names:
                unit = units.get(name)
                cell = (self.learn(name) if unit is None else unit) << _UNIT_SHIFT | hour
                hours[cell] = hours.get(cell, 0) + change

    def roll_up(self) -> set[int]:
        """Add what was folded to all cells that it lies in; returns those that are not as they were."""
        changed = set()
        cells = self.cells
        for cell, change in self._hours.items():
            unit, hour = cell >> _UNIT_SHIFT << _UNIT_SHIFT, cell & 0x3FFFFFFF
            day = hour // 24
            for key in (cell, unit | 1 << _WINDOW_SHIFT | day, unit | 2 << _WINDOW_SHIFT | month_of(day)):
                cells[key] = cells.get(key, 0) + change
                changed.add(key)
        self._hours.clear()
        return changed

    def key(self, cell: int) -> bytes:
        """The cell's name as it is published."""
        window, index = cell >> _WINDOW_SHIFT & 3, cell & 0x3FFFFFFF
        return self.names[cell >> _UNIT_SHIFT] + bytes((window,)) + index.to_bytes(4, "big")
