"""What the topic tells beside what the table holds: cells that are behind, and cells that are gone from the table."""

import asyncio
from dataclasses import dataclass

import numpy as np

from services.aggregator.counting.windows import Int64
from services.aggregator.publishing.followed import FollowedTopic
from services.aggregator.publishing.records import CellRecords
from services.chassis.postgres import Database

_MOST_AT_ONCE = 50_000


@dataclass(frozen=True, slots=True)
class Comparison:
    """Compares what is known of the topic with rows of cell and version, in parts: counting goes on meanwhile."""

    topic: FollowedTopic
    records: CellRecords

    async def differing(self, connection: Database, counted: Int64) -> tuple[list[int], list[int]]:
        """Cells whose last record is older than the table, and cells that have one and are not in the table."""
        behind: list[int] = []
        met = self.topic.seen.none_met()
        for first in range(0, len(counted), _MOST_AT_ONCE):
            cells = self.topic.seen.behind(counted[first : first + _MOST_AT_ONCE], met)
            await self.records.learn(connection, cells)
            behind += [cell for cell in cells.tolist() if self.records.key(cell) is not None]
            await asyncio.sleep(0)
        beyond, gone = self.topic.seen.beyond(met), list[int]()
        for first in range(0, len(beyond), _MOST_AT_ONCE):
            gone += await self._gone(connection, beyond[first : first + _MOST_AT_ONCE])
            await asyncio.sleep(0)
        return behind, gone

    async def _gone(self, connection: Database, cells: Int64) -> list[int]:
        await self.records.learn(connection, cells)
        keys = [(cell, key) for cell in cells.tolist() if (key := self.records.key(cell)) is not None]
        named = await self.topic.named(connection, [key for _, key in keys])
        # The key of a dropped cut names no cell, or one of the cut that was counted anew under its name.
        others = [cell for (cell, _), now in zip(keys, named, strict=True) if cell != now]
        self.topic.seen.tell(np.array([(cell, 0) for cell in others], np.int64).reshape(-1, 2))
        return [cell for (cell, _), now in zip(keys, named, strict=True) if cell == now]
