"""Partitions that nobody reads, because they were added after a group had given its partitions out.

A group gives partitions out anew when its leader sees that there are more. But a leader that comes back under its name
(KIP-345) is handed its old partitions, takes itself for a follower and does not look; then nobody does.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from services.chassis.postgres import Pool, named_sql
from services.chassis.topic_identity import TopicIdentity

log = structlog.get_logger()
_PATIENCE = 30.0
"""Giving partitions out anew takes seconds, and stops all readers of the group meanwhile."""


@dataclass(slots=True)
class UnreadPartitions:
    """Finds partitions without progress, and asks the group to give out all of them anew.

    Attributes:
        found: those that the last look found.
        clock: seconds, never going back.
    """

    found: frozenset[TopicPartition] = frozenset()
    clock: Callable[[], float] = time.monotonic
    _asked: float | None = None
    _sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.chassis", "progress.sql"))

    async def look(self, pool: Pool, topics: Mapping[str, TopicIdentity], consumer: AIOKafkaConsumer) -> None:
        """Look once. Whoever gets a partition notes its progress at once, so two looks without it are enough."""
        rows = await pool.fetch(self._sql["read_partitions"], [*topics])
        begun = {TopicPartition(r["topic"], r["part"]) for r in rows}
        every = {TopicPartition(topic, n) for topic, t in topics.items() for n in range(t.partitions)}
        again = self.found & (every - begun)
        self.found = frozenset(every - begun)
        if again and (self._asked is None or self.clock() - self._asked >= _PATIENCE):
            self._asked = self.clock()
            log.warning("partitions that nobody reads", action="give_out_anew", partitions=len(again))
            await give_out_anew(consumer)


async def give_out_anew(consumer: Any) -> None:
    """Join the group again; where Kafka takes this member for the leader, all partitions are given out anew."""
    await consumer._client.force_metadata_update()  # noqa: SLF001  or it would give out those that it knew
    consumer._coordinator.request_rejoin()  # noqa: SLF001
