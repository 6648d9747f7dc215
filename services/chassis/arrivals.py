"""Whether all that Kafka holds at this moment has been applied: asked by who was told of something unknown.

What the last fetch told of a topic's end is older by as long as this process was busy, and says nothing of partitions
that other processes read.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog
from aiokafka import TopicPartition

from services.chassis.consumer import Reader
from services.chassis.failures import is_transient
from services.chassis.pauses import pauses
from services.chassis.postgres import named_sql

log = structlog.get_logger()


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
                missing = await self.reader.consumer.end_offsets(self.reader.partitions())
                for pause in pauses(first=0.01, longest=0.05):
                    if not (missing := await self._unapplied(missing)):
                        break
                    await asyncio.sleep(pause)
        except Exception as error:
            if not is_transient(error):
                raise
            log.info("cannot tell what is missing", action="say_later", error=type(error).__name__)
            return False
        return self.reader.is_reading()

    async def _unapplied(self, ends: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        # Our own cursor may stand behind a transaction's marker, of which no batch tells.
        missing = {p: end for p, end in ends.items() if self.reader.applied_to(p) < end}
        if not missing:
            return {}
        rows = await self.reader.fence.pool.fetch(self._sql["read_partitions"], [*self.reader.topics])
        applied = {TopicPartition(r["topic"], r["part"]): r["next"] for r in rows}
        return {p: end for p, end in missing.items() if applied.get(p, -1) < end}
