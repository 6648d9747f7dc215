"""Reading closed months for the public page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby

import asyncpg

from services.aggregator.quality.complaints import Complaints
from services.aggregator.quality.corrections import Correction, corrections_of
from services.aggregator.quality.figures import MONTHS
from services.aggregator.quality.revisions import Counted, Month, Revision, month_of
from services.aggregator.quality.strata import CUTS
from services.chassis.postgres import Database, named_sql


@dataclass(frozen=True, slots=True)
class Change:
    """Something that was changed for a whole country, from a day on."""

    what: str
    starts_on: date


@dataclass(frozen=True, slots=True)
class ClosedMonths:
    """Queries over closed months."""

    sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.aggregator", "quality.sql"))
    told: Mapping[str, str] = field(default_factory=lambda: named_sql("services.aggregator", "complaints.sql"))

    async def revisions(self, connection: Database) -> dict[int, int]:
        """The closed months, oldest first, with their latest revision."""
        return {r["month"]: r["revision"] for r in await connection.fetch(self.sql["months_closed"])}

    async def until(self, connection: Database, number: int) -> dict[int, Month]:
        """The closed months of the two years that end in this one."""
        return await self._between(connection, number - MONTHS + 1, number)

    async def corrections(self, connection: Database, number: int) -> list[Correction]:
        """What was corrected in one month, as far as it is public."""
        return [
            c for month in (await self._between(connection, number, number)).values() for c in corrections_of(month)
        ]

    async def _between(self, connection: Database, first: int, last: int) -> dict[int, Month]:
        rows = await connection.fetch(self.sql["closed_cells_of_months"], first, last, [*CUTS])
        sums: dict[tuple[int, int], dict[int, int]] = {}
        for r in await connection.fetch(self.sql["closed_sums_of_months"], first, last):
            sums.setdefault((r["month"], r["revision"]), {})[r["given"]] = r["answers"]
        by_month = groupby(rows, key=lambda r: int(r["month"]))
        return {month: month_of(month, _revisions(list(of), sums)) for month, of in by_month}

    async def complaints(self, connection: Database, month: Month) -> Complaints:
        """What the shown revision of a month says of complaints."""
        rows = await connection.fetch(self.told["closed_complaints"], month.number, month.shown.number)
        judged = {(r["cause"], r["attribution"]): r["complaints"] for r in rows if r["cause"]}
        waiting = sum(r["complaints"] for r in rows if not r["cause"])
        return Complaints(month.shown.total.delivered, judged, waiting)

    async def changes(self, connection: Database) -> list[Change]:
        """Interventions that were marked for everything or for a country, oldest first."""
        return [Change(r["what"], r["starts_on"]) for r in await connection.fetch(self.sql["changes_of_a_country"])]


def _revisions(rows: Sequence[asyncpg.Record], sums: Mapping[tuple[int, int], Mapping[int, int]]) -> list[Revision]:
    found = []
    for number, group in groupby(rows, key=lambda r: int(r["revision"])):
        of = list(group)
        cells = {(r["cut"], r["value"]): _counted(r) for r in of}
        first = of[0]
        said = sums.get((first["month"], number), {})
        found.append(Revision(number, first["reason"], first["closed_at"], cells, said, first["zone_data"]))
    return found


def _counted(row: asyncpg.Record) -> Counted:
    return Counted(tuple(row[f"s{n}"] for n in range(1, 6)), row["delivered"], row["asked"], row["reached"])
