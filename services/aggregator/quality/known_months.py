"""Closed months as the public page needs them, each read once: what is stored of a revision never changes."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from services.aggregator.quality.corrections import Correction, corrections_of
from services.aggregator.quality.figures import MONTHS
from services.aggregator.quality.months import ClosedMonths, MonthRows
from services.aggregator.quality.weighed import Weighed, weighed
from services.chassis.postgres import Pool


class _Known(NamedTuple):
    revision: int
    weighed: Weighed
    corrections: Sequence[Correction]


@dataclass(slots=True)
class KnownMonths:
    """Months that were read, by their latest revision.

    Thousands of strata are weighed in a thread: this process counts and tells live numbers in its loop. One month is
    read at a time, whoever many ask, and nobody who waits holds a connection.
    """

    pool: Pool
    months: ClosedMonths = field(default_factory=ClosedMonths)
    _known: dict[int, _Known] = field(default_factory=dict)
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def until(self, number: int, latest: Mapping[int, int]) -> dict[int, Weighed]:
        """Of the closed months, given with their latest revisions, those of the two years that end in this one."""
        wanted = [month for month in range(number - MONTHS + 1, number + 1) if month in latest]
        return {month: (await self._month(month, latest[month])).weighed for month in wanted}

    async def corrections(self, latest: Mapping[int, int]) -> list[Correction]:
        """What was corrected in the closed months, as far as it is public."""
        corrected = [await self._month(month, revision) for month, revision in latest.items() if revision > 1]
        return [correction for known in corrected for correction in known.corrections]

    async def _month(self, number: int, revision: int) -> _Known:
        async with self._reading:
            known = self._known.get(number)
            if known is None or known.revision < revision:
                async with self.pool.acquire() as connection:
                    rows = await self.months.rows(connection, number)
                known = self._known[number] = await asyncio.to_thread(_worked_out, rows, revision)
            return known


def _worked_out(rows: MonthRows, revision: int) -> _Known:
    month = rows.month()
    return _Known(revision, weighed(month), corrections_of(month) if month.corrections else [])
