"""Whether all that Kafka holds at this moment has been applied: asked by who was told of something unknown.

What the last fetch told of a topic's end is older by as long as this process was busy, and says nothing of partitions
that other processes read.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog
from aiokafka import TopicPartition

from services.chassis.consumer import Reader
from services.chassis.failures import is_transient
from services.chassis.pauses import pauses
from services.chassis.postgres import named_sql
from services.chassis.stretches import Stretch, with_records

log = structlog.get_logger()
_GRACE = 0.2
"""Seconds for what is on its way; what is missing still may be markers of transactions, of which no progress tells."""


@dataclass(slots=True)
class Arrivals:
    """Looks at the ends of a reader's topics, and at what its whole group has applied of them.

    Attributes:
        patience: seconds that a look waits for what is on its way to be applied.
    """

    reader: Reader[Any]
    patience: float = 1.0
    _looks: int = 0
    _found: bool = False
    _empty: dict[TopicPartition, Stretch] = field(default_factory=dict)
    _looking: asyncio.Lock = field(default_factory=asyncio.Lock)
    _sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.chassis", "progress.sql"))

    async def all_applied(self) -> bool:
        """Whether every record that Kafka held when this was asked is applied; False while that cannot be told.

        All that ask while a look is under way share the next one, so guessers cannot keep Kafka busy.
        """
        looks = self._looks
        async with self._looking:
            if self._looks == looks:
                self._looks += 1
                self._found = False  # also for those who wait, should this look be cut short
                self._found = await self._look()
            return self._found

    async def _look(self) -> bool:
        if not self.reader.is_reading():
            return False
        try:
            async with asyncio.timeout(self.patience):
                assert self.reader.consumer is not None
                ends = await self.reader.consumer.end_offsets(self.reader.partitions())
                await self._until_applied(ends)
        except Exception as error:
            if not is_transient(error):
                raise
            log.info("cannot tell what is missing", action="say_later", error=type(error).__name__)
            return False
        return self.reader.is_reading()

    async def _until_applied(self, ends: Mapping[TopicPartition, int]) -> None:
        since: float | None = time.monotonic()
        at_first: dict[TopicPartition, Stretch] = {}
        for pause in pauses(first=0.01, longest=0.05):
            if not (missing := await self._unapplied(ends)):
                return
            at_first = at_first or missing
            ends = {partition: end for partition, (_, end) in missing.items()}
            if since is not None and time.monotonic() - since > _GRACE:
                since = None  # once a look
                await self._learn_what_is_empty({p: s for p, s in missing.items() if at_first[p] == s})
            await asyncio.sleep(pause)

    async def _learn_what_is_empty(self, standing: Mapping[TopicPartition, Stretch]) -> None:
        """Of these partitions nothing has been applied for a while: there may be nothing to be applied."""
        if standing:
            held = await with_records(self.reader.settings, standing)
            self._empty |= {p: stretch for p, stretch in standing.items() if p not in held}

    async def _unapplied(self, ends: Mapping[TopicPartition, int]) -> dict[TopicPartition, Stretch]:
        """What lies between the group's progress and these ends, and is not known to hold nothing."""
        # Our own cursor may stand behind a transaction's marker, of which no batch tells.
        missing = {p: end for p, end in ends.items() if self.reader.applied_to(p) < end}
        if not missing:
            return {}
        rows = await self.reader.fence.pool.fetch(self._sql["read_partitions"], [*self.reader.topics])
        applied = {TopicPartition(r["topic"], r["part"]): r["next"] for r in rows}
        left = {p: (at, end) for p, end in missing.items() if (at := applied.get(p, 0)) < end}
        return {p: stretch for p, stretch in left.items() if not self._is_empty(p, stretch)}

    def _is_empty(self, partition: TopicPartition, stretch: Stretch) -> bool:
        begin, end = self._empty.get(partition, (-1, -1))
        return begin == stretch[0] and stretch[1] <= end
