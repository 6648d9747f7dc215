"""Reading cells: for the API, the pages and the command line."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import asyncpg

from schemas.satisfaction import Window
from services.aggregator.counting.cuts import JOINT
from services.aggregator.counting.windows import base_of, last_of
from services.aggregator.figures.questions import told_of
from services.aggregator.figures.said import FurtherAnswers
from services.aggregator.publishing.publisher import cell_message
from services.chassis.postgres import Database, named_sql


@dataclass(frozen=True, slots=True)
class Difference:
    """A cell whose counters are not the fold of what was counted."""

    cut: str
    value: str
    cell: int
    counted: Sequence[int | None]
    expected: Sequence[int | None]


Place = tuple[str, int]
"""Where a cell stands among those of a cut: its value and its packed number."""


@dataclass(frozen=True, slots=True)
class Row:
    """A cell as it is told, with its place for the next page and its version."""

    message: dict[str, Any]
    place: Place
    version: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Cells:
    """Queries over the counters."""

    sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.aggregator"))
    said: FurtherAnswers = field(default_factory=FurtherAnswers)

    async def of_cut(
        self,
        connection: Database,
        cut: str,
        window: Window,
        *,
        first: int = 0,
        last: int | None = None,
        value: str | None = None,
        limit: int = 10_000,
    ) -> list[dict[str, Any]]:
        """Cells of a cut in a window, by value and time, as `satisfaction.cells.v1` says them."""
        rows = await self.page(connection, cut, window, first=first, last=last, value=value, limit=limit)
        return [r.message for r in rows]

    async def of_first(self, connection: Database, cut: str, window: Window, value: str) -> list[dict[str, Any]]:
        """Cells of a cut of two properties, as `terminal.method`, of one value of the first."""
        base, now = base_of(window), datetime.now(UTC)
        wanted = cut, base, base + last_of(window), value, JOINT
        return [cell_message(r, now) for r in await connection.fetch(self.sql["cells_of_first"], *wanted)]

    async def page(
        self,
        connection: Database,
        cut: str,
        window: Window,
        *,
        first: int = 0,
        last: int | None = None,
        value: str | None = None,
        after: Place | None = None,
        limit: int,
    ) -> list[Row]:
        """As `of_cut`, from the cell after a place on."""
        base, end = base_of(window), last_of(window)
        # Behind the last index of a window lie the cells of another unit.
        lowest, highest = base + first, base + (end if last is None else min(last, end))
        behind = after or (None, None)
        rows = await connection.fetch(self.sql["cells_of_cut"], cut, lowest, highest, value, *behind, limit)
        now = datetime.now(UTC)
        return [Row(cell_message(r, now), (r["value"], r["cell"]), (r["cell"], r["version"])) for r in rows]

    async def add_questions(self, connection: Database, window: Window, rows: Sequence[Row]) -> None:
        """Put the answers to further questions into each row's message, as `questions`."""
        said = await self.said.in_cells(connection, window, [cell for _, cell in (r.place for r in rows)])
        for row in rows:
            row.message["questions"] = told_of(said.get(row.place[1], {}))

    async def cuts(self, connection: Database) -> list[str]:
        """The names of the cuts that are shown; none before the first start."""
        return [r["cut"] for r in await connection.fetch(self.sql["shown_cuts"])]

    async def audit(self, connection: Database) -> list[Difference]:
        """Every cell that is not the fold of all answers and decisions; call inside one snapshot."""
        return [_difference(r) for r in await connection.fetch(self.sql["audit_cells"])]

    async def differing(self, connection: Database, at_once: int) -> AsyncIterator[Difference]:
        """As `audit`, holding so many at once."""
        async for row in connection.cursor(self.sql["audit_cells"], prefetch=at_once):
            yield _difference(row)


def _difference(row: asyncpg.Record) -> Difference:
    return Difference(row["cut"] or "?", row["value"] or "", row["cell"], row["counted"], row["expected"])
