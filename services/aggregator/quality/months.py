"""Reading closed months for the public page."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby

import asyncpg

from services.aggregator.quality.complaints import Complaints
from services.aggregator.quality.readers import Reader
from services.aggregator.quality.revisions import Counted, Month, Revision, month_of
from services.aggregator.quality.strata import CUTS
from services.chassis.postgres import Database, named_sql


@dataclass(frozen=True, slots=True)
class Change:
    """Something that was changed for a whole country, from a day on."""

    what: str
    starts_on: date


@dataclass(frozen=True, slots=True)
class MonthRows:
    """A closed month as it is stored, by revision; of each the counters, and the sums of the three questions."""

    number: int
    cells: Sequence[asyncpg.Record]
    sums: Sequence[asyncpg.Record]
    readers: Sequence[Reader] = ()

    def month(self, *beside: Reader) -> Month:
        """The month as the public sees it, or would with more readers.

        Of many strata this takes long: not in a loop that serves others.
        """
        said: dict[int, dict[int, int]] = {}
        for r in self.sums:
            said.setdefault(r["revision"], {})[r["given"]] = r["answers"]
        found = []
        for number, group in groupby(self.cells, key=lambda r: int(r["revision"])):
            of = list(group)
            cells = {(r["cut"], r["value"]): _counted(r) for r in of}
            first = of[0]
            told = said.get(number, {})
            about = (first[name] for name in ("zone_data", "by_merchant"))
            found.append(Revision(number, first["reason"], first["closed_at"], cells, told, *about))
        return month_of(self.number, found, [*self.readers, *beside])


@dataclass(frozen=True, slots=True)
class ClosedMonths:
    """Queries over closed months."""

    sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.aggregator", "quality.sql"))
    told: Mapping[str, str] = field(default_factory=lambda: named_sql("services.aggregator", "complaints.sql"))

    async def revisions(self, connection: Database) -> dict[int, int]:
        """The closed months, oldest first, with their latest revision."""
        return {r["month"]: r["revision"] for r in await connection.fetch(self.sql["months_closed"])}

    async def rows(self, connection: Database, number: int, merchants: Collection[str] = ()) -> MonthRows:
        """All revisions of a closed month, as they are stored, with the parts of partners' merchants and of these."""
        cells = await connection.fetch(self.sql["closed_cells_of_month"], number, [*CUTS], [*merchants])
        # After the cells: who was added meanwhile had to leave all that these tell as it is.
        readers = [_reader(r) for r in await connection.fetch(self.sql["readers"])]
        return MonthRows(number, cells, await connection.fetch(self.sql["closed_sums_of_month"], number), readers)

    async def complaints(self, connection: Database, month: Month) -> Complaints:
        """What the shown revision of a month says of complaints."""
        rows = await connection.fetch(self.told["closed_complaints"], month.number, month.shown.number)
        judged = {(r["cause"], r["attribution"]): r["complaints"] for r in rows if r["cause"]}
        waiting = sum(r["complaints"] for r in rows if not r["cause"])
        return Complaints(month.shown.total.delivered, judged, waiting)

    async def changes(self, connection: Database) -> list[Change]:
        """Interventions that were marked for everything or for a country, oldest first."""
        return [Change(r["what"], r["starts_on"]) for r in await connection.fetch(self.sql["changes_of_a_country"])]


def _reader(row: asyncpg.Record) -> Reader:
    return Reader(*(None if row[name] is None else frozenset(row[name]) for name in ("merchants", "months")))


def _counted(row: asyncpg.Record) -> Counted:
    return Counted(tuple(row[f"s{n}"] for n in range(1, 6)), row["delivered"], row["asked"], row["reached"])
