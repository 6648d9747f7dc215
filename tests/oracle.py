"""What must hold of the counters at every moment, looked at five times a second while a fault lasts.

In one snapshot each time: every counter is the fold of what was counted; no cell goes back to an earlier version, and
one version says one thing; no position goes back; and of each partition in = applied + skipped + put aside.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

import asyncpg
from aiokafka import TopicPartition

from services.aggregator.cells.rows import Cells
from services.aggregator.counting.deltas import COLUMNS
from services.chassis.pauses import pause_or_stop
from services.chassis.postgres import OwnConnection, connect
from services.chassis.settings import Settings
from tests.accounts import Standing, Told, unbalanced

LOOKS_A_SECOND = 5
_AWAY = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InterfaceError,
)
_PATIENCE = 60.0
_CELLS = f"SELECT cell, version, {', '.join(COLUMNS)} FROM cell"


class Records(Protocol):
    """The records that the counters read."""

    async def up_to(self, positions: Mapping[TopicPartition, int]) -> Mapping[TopicPartition, Sequence[Told]]:
        """All records of each partition from offset 0, at least those below the positions."""


@dataclass(slots=True)
class Watch:
    """Looks at the tables by a connection of its own, and makes a new one where PostgreSQL was away.

    Attributes:
        looks: how often everything was seen.
        wrong: what was seen that must never be; the test fails with it.
    """

    settings: Settings
    records: Records
    looks: int = 0
    wrong: list[str] = field(default_factory=list)
    _free: asyncio.Lock = field(default_factory=asyncio.Lock)
    _cells: dict[int, tuple[int, ...]] = field(default_factory=dict)
    _positions: dict[TopicPartition, int] = field(default_factory=dict)
    _work: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def looking(self, *, least: int) -> AsyncIterator[None]:
        """Look again and again while the body lasts; fewer looks than `least` prove nothing, and fail."""
        stop = asyncio.Event()
        work = self._work = asyncio.create_task(self._again_and_again(stop))
        try:
            yield
        finally:
            stop.set()
            async with asyncio.timeout(_PATIENCE):
                await work
        assert self.wrong == [], self.wrong[:5]
        assert self.looks >= least, f"only {self.looks} looks"

    async def sees(self, more: int = 1) -> None:
        """Wait until everything was seen so many times more, each from now on; fails where something is wrong."""
        assert self._work is not None
        wanted = self.looks + more + 1  # the look that is under way began before
        async with asyncio.timeout(_PATIENCE):
            while self.looks < wanted and not self.wrong and not self._work.done():
                await asyncio.sleep(0.01)
        assert self.wrong == [], self.wrong[:5]

    async def between_looks(self, take_back: Callable[[], Awaitable[None]]) -> None:
        """Do what takes the tables back on purpose: nobody looks meanwhile, and what was seen is forgotten."""
        async with self._free:  # or both wait for each other's tables
            await take_back()
            self._cells.clear()
            self._positions.clear()

    async def _again_and_again(self, stop: asyncio.Event) -> None:
        connection: OwnConnection | None = None
        while not await pause_or_stop(1 / LOOKS_A_SECOND, stop):
            try:
                if connection is None:
                    connection = await connect(self.settings, "aggregator", command_timeout=_PATIENCE)
                async with self._free:
                    self.wrong += await self.look(connection)
                self.looks += 1
            except _AWAY:
                if connection is not None:
                    connection.terminate()
                connection = None
        if connection is not None:
            connection.terminate()

    async def look(self, connection: OwnConnection) -> list[str]:
        """Look once; returns what is wrong."""
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            differing = await Cells().audit(connection)
            cells = [tuple(r) for r in await connection.fetch(_CELLS)]
            standing = await Standing.read(connection)
        wrong = [f"{d.cut} {d.value}: counted {d.counted}, should be {d.expected}" for d in differing[:3]]
        wrong += self._gone_back(cells, standing.positions)
        told = await self.records.up_to(standing.positions)
        return wrong + unbalanced(told, standing)[:3]

    def _gone_back(self, cells: Sequence[tuple[int, ...]], positions: Mapping[TopicPartition, int]) -> list[str]:
        wrong = []
        for cell, version, *numbers in cells:
            before, *seen = self._cells.get(cell, (0, *numbers))
            if version < before or (version == before and numbers != seen):
                wrong.append(f"cell {cell} goes from version {before}, {seen}, to {version}, {numbers}")
            self._cells[cell] = (version, *numbers)
        wrong += [f"cell {cell} is gone" for cell in self._cells.keys() - {cell for cell, *_ in cells}]
        for partition, at in self._positions.items():
            if (now := positions.get(partition, -1)) < at:
                wrong.append(f"{partition.topic}/{partition.partition} goes back from {at} to {now}")
        self._positions |= positions
        return wrong
