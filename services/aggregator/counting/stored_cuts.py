"""The cuts that the tables were counted by: set by the first start, changed by `kvittera cuts`, checked at starts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import asyncpg

from services.aggregator.counting.cuts import Cut, cut_named
from services.aggregator.counting.windows import mask_of, windows_in
from services.chassis.failures import MustStop
from services.chassis.postgres import Database, named_sql

COUNTED, BUILDING, BUILT, LEAVING = "counted", "building", "built", "leaving"


@dataclass(frozen=True, slots=True)
class StoredCut:
    """A cut with its state: counted, building or built (not shown yet), or leaving (gone after the next switch)."""

    cut: Cut
    state: str
    since: datetime
    after: Cut
    """As it is counted after the next switch, where that changes its windows."""


@dataclass(frozen=True, slots=True)
class StoredCuts:
    """Reads and checks the stored cuts."""

    sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.aggregator", "cuts.sql"))

    async def all(self, connection: Database) -> list[StoredCut]:
        """Every stored cut, in the order in which they came."""
        rows: list[asyncpg.Record] = await connection.fetch(self.sql["stored_cuts"])
        return [
            StoredCut(
                cut_named(r["cut"], windows_in(r["windows"])),
                r["state"],
                r["since"],
                cut_named(r["cut"], windows_in(r["next"] or r["windows"])),
            )
            for r in rows
        ]

    async def version(self, connection: Database) -> int:
        """How often the stored cuts were changed; 0 before the first start."""
        row = await connection.fetchrow(self.sql["follow"])
        return int(row["version"]) if row else 0

    async def agree(self, connection: Database, wanted: Sequence[Cut]) -> None:
        """Store the cuts of a first start; at every later one make sure that nothing else is to be counted.

        While cuts are built, both the cuts before and those after the switch are right.

        Raises:
            MustStop: other cuts are configured than the tables hold.
        """
        async with connection.transaction():
            await connection.execute(self.sql["lock_cuts"])
            stored = await self.all(connection)
            if not stored:
                for cut in wanted:
                    await connection.execute(self.sql["add_cut"], cut.name, mask_of(cut.windows), COUNTED)
                await connection.execute(self.sql["first_version"])
                return
            version = await self.version(connection)
        before = {s.cut for s in stored if s.state in {COUNTED, LEAVING}}
        after = {s.after for s in stored if s.state != LEAVING}
        if set(wanted) not in (before, after):
            raise MustStop(
                f"the configured cuts are not those that are counted (version {version}):"
                f" {difference(before, wanted)}. Build what is new with `kvittera cuts build` and switch with"
                " `kvittera cuts switch`, or set KVITTERA_CUTS_FILE back"
            )


def difference(counted: Sequence[Cut] | set[Cut], wanted: Sequence[Cut]) -> str:
    """In words, what is new, gone or in other windows."""
    old, new = {c.name: c for c in counted}, {c.name: c for c in wanted}
    parts = {
        "new": sorted(new.keys() - old.keys()),
        "gone": sorted(old.keys() - new.keys()),
        "in other windows": sorted(n for n in new.keys() & old.keys() if new[n].windows != old[n].windows),
    }
    return "; ".join(f"{what}: {', '.join(names)}" for what, names in parts.items() if names) or "nothing"
