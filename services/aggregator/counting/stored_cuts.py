"""The cuts that the tables were counted by: set by the first start, changed by `kvittera cuts`, checked at starts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import asyncpg
import structlog

from services.aggregator.counting.cuts import Cut, CutsFile, cut_named
from services.aggregator.counting.windows import mask_of, windows_in
from services.chassis.failures import MustStop
from services.chassis.postgres import Database, Pool, named_sql

log = structlog.get_logger()
COUNTED, BUILDING, BUILT, LEAVING = "counted", "building", "built", "leaving"
_LONGEST_CHANGE, _LOOK = 3600.0, 5.0


@dataclass(frozen=True, slots=True)
class StoredCut:
    """A cut with its state: counted, building or built (not shown yet), or leaving (gone after the next switch)."""

    cut: Cut
    state: str
    since: datetime
    after: Cut
    """As it is counted after the next switch, where that changes its windows."""


@dataclass(frozen=True, slots=True)
class FileVersions:
    """The version of the file of cuts that is counted, and that of the one being built; 0: a file that tells none."""

    counted: int
    planned: int | None = None


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

    async def are_held(self, pool: Pool) -> bool:
        """Whether a change of what is counted holds every batch up just now."""
        return await pool.fetchval(self.sql["try_to_follow"], timeout=_LOOK) is None

    async def files(self, connection: Database) -> FileVersions:
        """Which versions of the file of cuts are counted and being built."""
        row = await connection.fetchrow(self.sql["file_versions"])
        return FileVersions(row["file_version"], row["next_file_version"]) if row else FileVersions(0)

    async def agree(self, connection: Database, file: CutsFile) -> CutsFile:
        """Store the cuts of a first start; at every later one make sure that nothing else is to be counted.

        While cuts are built, both the cuts before and those after the switch are right. Tables that were counted by the
        built-in cuts of an earlier version are counted on by those, so that an upgrade and the way back need no stop.
        Returns what stands: the file, or that earlier one.

        Raises:
            MustStop: other cuts are configured than the tables hold, or the same in a file of an older version.
        """
        async with connection.transaction():
            if not await connection.fetchval(self.sql["try_lock_cuts"]):
                log.info("waits for others that start, or for a change of what is counted")
                await connection.execute(self.sql["lock_cuts"], timeout=_LONGEST_CHANGE)
            stored = await self.all(connection)
            if not stored:
                for cut in file.cuts:
                    await connection.execute(self.sql["add_cut"], cut.name, mask_of(cut.windows), COUNTED)
                await connection.execute(self.sql["first_version"], file.version)
                return file
            file, versions = standing(file, stored), await self.files(connection)
            if why_not := refusal(file, stored, versions):
                raise MustStop(why_not)
            if file.version > versions.counted and cuts_before(stored) == cuts_after(stored):
                await connection.execute(self.sql["take_file"], file.version)
        return file


def cuts_before(stored: Sequence[StoredCut]) -> set[Cut]:
    """What is counted and shown until the next switch."""
    return {s.cut for s in stored if s.state in {COUNTED, LEAVING}}


def cuts_after(stored: Sequence[StoredCut]) -> set[Cut]:
    """What is counted and shown from the next switch on."""
    return {s.after for s in stored if s.state != LEAVING}


def standing(file: CutsFile, stored: Sequence[StoredCut]) -> CutsFile:
    """The file as it counts now: itself, or the earlier built-in one that the tables are counted by."""
    before = cuts_before(stored)
    if {*file.cuts} in (before, cuts_after(stored)):
        return file
    return next((earlier for earlier in file.earlier if {*earlier.cuts} == before), file)


def refusal(file: CutsFile, stored: Sequence[StoredCut], versions: FileVersions) -> str | None:
    """Why a service must not start with this file; None where it may. A version names one list of cuts."""
    before, after, wanted = cuts_before(stored), cuts_after(stored), set(file.cuts)
    if wanted not in (before, after):
        return (
            f"the configured cuts{_of(file.version)} are not those that are counted{_of(versions.counted)}:"
            f" {difference(before, file.cuts)}. {_raise_first(file, versions)}Build what is new with `kvittera cuts"
            " build` and switch with `kvittera cuts switch`, or set KVITTERA_CUTS_FILE back"
        )
    built = before != after and wanted == after
    least = versions.planned or 0 if built else versions.counted
    if file.version < least:
        return (
            f"the file of cuts is version {file.version}, and version {least} is"
            f" {'being built' if built else 'counted'}: give this process the newer file as KVITTERA_CUTS_FILE"
        )
    if before != after and not built and versions.planned is not None and file.version >= versions.planned:
        return (
            f"version {versions.planned} of the file of cuts is being built with other cuts"
            f" ({difference(file.cuts, [*after])}): a version names one list of cuts, so set KVITTERA_CUTS_FILE to"
            f" that file, or back to version {versions.counted}"
        )
    return None


def _raise_first(file: CutsFile, versions: FileVersions) -> str:
    newest = _newest(versions)
    return f"Write `version = {newest + 1}` at the head of the file. " if file.version <= newest else ""


def _of(version: int) -> str:
    return f" (version {version})" if version else ""


def _newest(versions: FileVersions) -> int:
    return max(versions.counted, versions.planned or 0)


def refusal_to_build(file: CutsFile, stored: Sequence[StoredCut], versions: FileVersions) -> str | None:
    """Why this file must not be built; None where it may: a change needs a version above all before it."""
    wanted = set(file.cuts)
    if wanted == cuts_after(stored):
        least = versions.counted if versions.planned is None else versions.planned
    elif wanted == cuts_before(stored):
        least = versions.counted
    else:
        least = _newest(versions) + 1
    if file.version >= least:
        return None
    known = f", and version {_newest(versions)} is known" if _newest(versions) else ""
    told = f"is version {file.version}" if file.version else "tells no version"
    return f"the file of cuts {told}{known}. {_raise_first(file, versions)}Raise it with every change"


def difference(counted: Sequence[Cut] | set[Cut], wanted: Sequence[Cut]) -> str:
    """In words, what is new, gone or in other windows."""
    old, new = {c.name: c for c in counted}, {c.name: c for c in wanted}
    parts = {
        "new": sorted(new.keys() - old.keys()),
        "gone": sorted(old.keys() - new.keys()),
        "in other windows": sorted(n for n in new.keys() & old.keys() if new[n].windows != old[n].windows),
    }
    return "; ".join(f"{what}: {', '.join(names)}" for what, names in parts.items() if names) or "nothing"
