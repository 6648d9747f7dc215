"""Changing what is counted without a stop: plan, build from the topics beside the running cuts, check, switch.

A plan makes every later batch count by the new cuts too. What was counted before gets its units of the new cuts from
the topics, a part at a time, each in a transaction of its own that moves rows and cells together: so the counters are
the fold of the rows at every moment, also when the build is broken off and begun again. New cuts are not shown before
the switch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import asyncpg

from services.aggregator.cells.rows import Cells
from services.aggregator.counting.cuts import Cut, CutsFile, cut_named
from services.aggregator.counting.stored_cuts import (
    BUILDING,
    BUILT,
    COUNTED,
    LEAVING,
    StoredCut,
    StoredCuts,
    cuts_before,
    refusal_to_build,
)
from services.aggregator.counting.units import Units
from services.aggregator.counting.windows import base_of, last_of, mask_of, windows_in
from services.aggregator.history.past import batches, begin, counted_up_to, reading_again
from services.aggregator.history.placing import Placing
from services.chassis.failures import MustStop
from services.chassis.postgres import OwnConnection, Pool, named_sql
from services.chassis.settings import Settings

_TOUCH = 5_000


@dataclass(frozen=True, slots=True)
class Built:
    """What a build found.

    Attributes:
        cuts: the new cuts.
        placed: answers and decisions that got their units of the new cuts.
        missing: answers and decisions whose records the topics do not hold any more.
        differing: cells of all cuts that are not the fold of what was counted.
    """

    cuts: Sequence[str]
    placed: int
    missing: int
    differing: int

    @property
    def equal(self) -> bool:
        """Whether the new cuts hold all that the running ones hold."""
        return not self.missing and not self.differing


@dataclass(slots=True)
class CutChanges:
    """Plans, builds and switches; one at a time."""

    settings: Settings
    pool: Pool
    connection: OwnConnection
    stored: StoredCuts = field(default_factory=StoredCuts)
    sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.aggregator", "queries.sql", "cuts.sql"))

    async def plan(self, file: CutsFile) -> list[Cut]:
        """Store what shall be counted; batches follow from here on. Returns the cuts that must be built.

        Raises:
            MustStop: nothing was ever counted, a partner reads a cut that shall go, or the file's version names
                other cuts.
        """
        by_name = {c.name: c for c in file.cuts}
        async with self.connection.transaction():
            await self.connection.execute(self.sql["lock_cuts"])
            stored = await self.stored.all(self.connection)
            if not stored:
                raise MustStop("nothing was counted yet: the first start takes the configured cuts")
            if why_not := refusal_to_build(file, stored, await self.stored.files(self.connection)):
                raise MustStop(why_not)
            await self._refuse_to_drop([s.cut.name for s in stored if s.cut.name not in by_name])
            await self.connection.execute(self.sql["hold_counting"])
            for s in stored:
                await self._plan_stored(s, by_name.get(s.cut.name))
            known = {s.cut.name for s in stored}
            for cut in file.cuts:
                if cut.name not in known:
                    await self.connection.execute(self.sql["plan_cut"], cut.name, mask_of(cut.windows))
                    if cut.of_series:
                        await self._fill_series(cut)
            await self.connection.execute(self.sql["raise_version"])
            nothing_new = set(file.cuts) == cuts_before(stored)
            await self.connection.execute(self.sql["take_file" if nothing_new else "plan_file"], file.version)
            planned = await self.stored.all(self.connection)
        return [s.cut for s in planned if s.state in {BUILDING, BUILT}]

    async def _fill_series(self, cut: Cut) -> None:
        """Count what is kept apart in a new cut of series: all that it takes stands in the rows; counting waits."""
        await self.connection.execute(self.sql["learn_series"], cut.name)
        await self.connection.execute(self.sql["build_windows"], cut.name, mask_of(cut.windows), True)

    async def _refuse_to_drop(self, names: Sequence[str]) -> None:
        readers = [r["partner"] for r in await self.connection.fetch(self.sql["partners_of_cuts"], names)]
        if readers:
            raise MustStop(f"{', '.join(readers)}: these partners read a cut that would go; revoke them first")

    async def _plan_stored(self, s: StoredCut, wanted: Cut | None) -> None:
        name = s.cut.name
        if wanted is None and s.state in {BUILDING, BUILT}:
            await self._retire(name)
        elif wanted is None:
            await self.connection.execute(self.sql["set_state"], name, LEAVING)
        else:
            if s.state == LEAVING:
                await self.connection.execute(self.sql["set_state"], name, COUNTED)
            await self.connection.execute(self.sql["plan_windows"], name, mask_of(wanted.windows))

    async def build(self, cuts: Sequence[Cut]) -> Built:
        """Place everything counted before in the new cuts, and check them. A build that is broken off may begin anew.

        Raises:
            MustStop: Kafka cannot be reached.
        """
        # The cuts of series were filled when they were planned.
        names = [c.name for c in cuts if not c.of_series]
        placed = missing = 0
        if names:
            for name in ("make_visited", "make_placed", "make_unplaced", "make_incoming"):
                await self.connection.execute(self.sql[name])
            placing = Placing(self.connection, self.sql, Units(self.pool, cuts))
            async with reading_again(self.settings, "kvittera-cuts") as consumer:
                await begin(consumer, await counted_up_to(self.connection))
                placed += await placing.fill(batches(consumer, await counted_up_to(self.connection)))
                # What has no unit of the new cuts at one moment must be met in the topics up to that moment.
                async with self.connection.transaction(isolation="repeatable_read"):
                    end = await counted_up_to(self.connection)
                    await self.connection.execute(self.sql["note_unplaced"], names)
                placed += await placing.fill(batches(consumer, end))
            missing = await self.connection.fetchval(self.sql["count_missing"])
        async with self.connection.transaction(isolation="repeatable_read", readonly=True):
            differing = len(await Cells().audit(self.connection))
        return Built([c.name for c in cuts], placed, missing, differing)

    async def accept(self, built: Built) -> None:
        """Say that the built cuts may be switched on."""
        async with self.connection.transaction():
            for name in built.cuts:
                await self.connection.execute(self.sql["set_state"], name, BUILT)
            await self.connection.execute(self.sql["forget_build"])

    async def switch(self) -> list[str]:
        """Show the built cuts, drop those that leave, and change windows: all at once. Returns what happened, in words.

        Raises:
            MustStop: a cut is still being built, or there is nothing to switch.
        """
        async with self.connection.transaction():
            await self.connection.execute(self.sql["lock_cuts"])
            rows = await self.connection.fetch(self.sql["stored_cuts"])
            if unfinished := [r["cut"] for r in rows if r["state"] == BUILDING]:
                raise MustStop(f"{', '.join(unfinished)}: not built yet; run `kvittera cuts build`")
            await self.connection.execute(self.sql["hold_counting"])
            told = [t for r in rows if (t := await self._switch_one(r)) is not None]
            if not told:
                raise MustStop("there is nothing to switch: run `kvittera cuts build` with other cuts first")
            await self.connection.execute(self.sql["raise_version"])
            await self.connection.execute(self.sql["switch_file"])
        return told

    async def _switch_one(self, row: asyncpg.Record) -> str | None:
        name, state = row["cut"], row["state"]
        if state == LEAVING:
            await self._retire(name)
            return f"{name}: gone"
        if state == COUNTED and row["next"] is None:
            return None
        await self.connection.execute(self.sql["show_cut"], name)
        if row["next"] is not None:
            old, new = windows_in(row["windows"]), windows_in(row["next"])
            gone = [w for w in old if w not in new]
            lowest = [base_of(w) for w in gone]
            highest = [base_of(w) + last_of(w) for w in gone]
            await self._touch(await self.connection.fetch(self.sql["drop_windows"], name, lowest, highest))
            if added := [w for w in new if w not in old]:  # to drop alone needs no look at everything counted
                of_series = cut_named(name).of_series
                await self.connection.execute(self.sql["build_windows"], name, mask_of(tuple(added)), of_series)
        await self._touch(await self.connection.fetch(self.sql["cells_of_cut_numbers"], name))
        shown = windows_in(row["next"] or row["windows"])
        return f"{name}: counted by {', '.join(shown)}"

    async def _retire(self, name: str) -> None:
        """Drop a cut: its cells go, and its units get a name that no cut has, so that it may come back anew."""
        await self._touch(await self.connection.fetch(self.sql["retire_cells"], name))
        version = await self.stored.version(self.connection)
        await self.connection.execute(self.sql["retire_units"], name, str(version))
        await self.connection.execute(self.sql["forget_cut"], name)

    async def _touch(self, rows: Sequence[asyncpg.Record]) -> None:
        cells = [r["cell"] for r in rows]
        for first in range(0, len(cells), _TOUCH):
            await self.connection.execute(self.sql["touch"], cells[first : first + _TOUCH])
