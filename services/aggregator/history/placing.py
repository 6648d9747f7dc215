"""Giving what was counted before its units of new cuts, from the topics: rows and cells move together."""

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

import asyncpg

from services.aggregator.counting.deltas import Change, Counting, answer_changes, decision_deltas, fold
from services.aggregator.counting.reading import Counted, CountedAnswer, reader
from services.aggregator.counting.stored_cells import add_to_cells
from services.aggregator.counting.units import Units
from services.aggregator.history.past import Batch
from services.chassis.failures import Poison
from services.chassis.postgres import OwnConnection

_TRIES = 5
_OPENED = "+opened"
"""Ends the key of a page that was opened and not answered: the answer has a place of its own."""


@dataclass(frozen=True, slots=True)
class Placing:
    """Places what was counted in the cuts of these units; a batch may be placed again and counts once."""

    connection: OwnConnection
    sql: Mapping[str, str]
    units: Units

    async def fill(self, found: AsyncIterator[Batch]) -> int:
        """Place what the topics hold; returns how many answers and decisions got their units."""
        read = reader()
        placed = 0
        async for batch in found:
            counted: dict[str, Counted] = {}
            for record in (r for records in batch.values() for r in records):
                with contextlib.suppress(Poison):
                    # Where several revisions come, the first fixes the place, as in counting.
                    if (meant := read(record)) is not None:
                        counted.setdefault(_key(meant), meant)
            placed += await self._place(counted)
        return placed

    async def _place(self, counted: Mapping[str, Counted]) -> int:
        own = await self._units_of(counted)
        for tries in range(_TRIES, 0, -1):
            try:
                async with self.connection.transaction():
                    return await self._place_once(own)
            except asyncpg.DeadlockDetectedError:
                # A batch of the running service has touched the same rows in another order.
                if tries == 1:
                    raise
        raise AssertionError("the last try ends it")

    async def _units_of(self, counted: Mapping[str, Counted]) -> dict[str, list[int]]:
        try:
            return dict(zip(counted, await self.units.of([*counted.values()]), strict=True))
        except Poison:
            # A value that cannot be counted by: its record is among the dead letters, and so is no row.
            found = {}
            for key, one in counted.items():
                with contextlib.suppress(Poison):
                    found[key] = (await self.units.of([one]))[0]
            return found

    async def _place_once(self, own: Mapping[str, Sequence[int]]) -> int:
        counting = await self.connection.fetchrow(self.sql["follow"])
        assert counting is not None, "a plan is stored before it is built"
        await self.connection.copy_records_to_table("placed", records=own.items())
        await self.connection.execute(self.sql["visit"])
        answers = [k.removesuffix(_OPENED) for k in own if "/" not in k]
        decisions = [k.partition("/")[2] for k in own if "/" in k]
        placed = await self.connection.fetch(self.sql["place_answers"], answers)
        twins = await self.units.twins({(u, r["series"]) for r in placed if r["series"] for u in r["units"]})
        changes = [
            change
            for r in placed
            for change in answer_changes(r["units"], r["local_hour"], r["minute"], None, _state(r), twins)
        ]
        changes += [
            Change(r["units"], r["local_hour"], decision_deltas(None, r["outcome"]), r["minute"])
            for r in await self.connection.fetch(self.sql["place_decisions"], decisions)
        ]
        masks = await self.units.masks(self.connection, (u for c in changes for u in c.units))
        deltas = fold(changes, masks, counting["minutes_from"])
        if len(deltas.cells):
            await add_to_cells(self.connection, self.sql, deltas)
        return len(changes)


def _key(counted: Counted) -> str:
    if isinstance(counted, CountedAnswer):
        return str(counted.response_id) + (_OPENED if counted.revision == 0 else "")
    return f"{counted.kind}/{counted.delivery.delivery_id}"


def _state(row: asyncpg.Record) -> Counting:
    return row["score"], row["commented"], row["contested"], row["series"]
