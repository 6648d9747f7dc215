"""Deliveries of a terminal that nobody was asked about, by why."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from schemas.satisfaction import Window
from services.aggregator.calendar import day_number
from services.aggregator.counting.cuts import JOINT
from services.aggregator.counting.windows import base_of
from services.aggregator.figures.words import percent, whole
from services.chassis.postgres import Database, named_sql

LATER: Final = "planned first, withheld later"
_LANGUAGE: Final = "en"
Row = tuple[str, str, str]
"""Why, how many deliveries, and their share of all delivered."""


@dataclass(frozen=True, slots=True)
class Suppressions:
    """Queries over the cut `terminal.reason`."""

    sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.aggregator", "figures.sql"))

    async def of_terminal(self, connection: Database, name: str, first: date, last: date) -> Mapping[str, int]:
        """How many, by reason, from one day to another, both included. Nothing where not counted."""
        rows = await connection.fetch(
            self.sql["suppressed_by_reason"],
            f"{name}{JOINT}",
            *(base_of(Window.DAY) + day_number(day) for day in (first, last)),
        )
        # A terminal may have a longer name that begins like this one.
        return {r["reason"]: r["suppressed"] for r in rows if JOINT not in r["reason"]}


def suppression_rows(reasons: Mapping[str, int], suppressed: int, delivered: int) -> list[Row]:
    """The rows of a table, the most frequent reason first; beside them all that was suppressed, and all deliveries.

    A reason is told of what was decided at once. What was planned and withheld later stands in a row of its own, since
    its first revision has none.
    """
    if not reasons:
        return []
    rows = sorted(reasons.items(), key=lambda row: (-row[1], row[0]))
    if suppressed > sum(reasons.values()):
        rows.append((LATER, suppressed - sum(reasons.values())))
    return [
        (why.replace("_", " "), whole(n, _LANGUAGE), percent(n / delivered, delivered, _LANGUAGE) if delivered else "")
        for why, n in rows
    ]
