"""How far the counters are behind, as Kafka and PostgreSQL tell it: what a stuck process believes would hide that."""

import asyncio
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from services.aggregator.counting.reading import TOPICS
from services.chassis.attempts import tried_again_later
from services.chassis.kafka import make_consumer, stop_in_time
from services.chassis.metrics import Metrics
from services.chassis.oldest_waiting import oldest_waiting
from services.chassis.pauses import cut_short, pause_or_stop
from services.chassis.postgres import Pool, named_sql
from services.chassis.settings import Settings
from services.chassis.topic_identity import identity_now

_PERIOD: Final = 5.0
_PATIENCE: Final = 10.0
_BELIEVED_FOR: Final = 30.0
"""Longer than a period and two looks that just succeed."""
_ENOUGH_BYTES: Final = 1024 * 1024  # one batch of any writer of ours; only its first record is of interest


@dataclass(frozen=True, slots=True)
class Seen:
    """What the latest look that succeeded has shown. Moments are in seconds since 1970.

    Attributes:
        at: when that look began; before the first one: when the process did.
        oldest: when the oldest record was written that waited since the look before; None: all of those are counted.
    """

    at: float
    oldest: float | None = None

    def behind(self, now: float) -> float:
        """Seconds by which the counters are behind. 0 holds only for a while: whoever cannot look does not know."""
        if self.oldest is not None:
            return max(0.0, now - self.oldest)
        unseen = now - self.at
        return unseen if unseen > _BELIEVED_FOR else 0.0


@dataclass(slots=True)
class CountersBehind:
    """Looks every few seconds at what waits, whoever counts it, and tells it to whoever reads metrics."""

    settings: Settings
    pool: Pool
    metrics: Metrics
    topics: Sequence[str] = TOPICS
    period: float = _PERIOD
    now: Callable[[], float] = time.time
    seen: Seen = field(init=False)
    _looked: bool = False
    _begun: bool = False
    """Whether every partition has a place where it is read on; one without is behind by all that it holds."""
    _ends: Mapping[TopicPartition, int] = field(default_factory=dict)
    _sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.chassis", "progress.sql"))

    def __post_init__(self) -> None:
        self.seen = Seen(self.now())
        # Worked out when it is asked for: a task that hangs cannot leave a 0 behind.
        self.metrics.tell("kvittera_counters_behind_seconds", self._told)

    def _told(self) -> float:
        # A process that begins knows nothing yet: its 0 would outweigh what the others see.
        behind = self.seen.behind(self.now())
        return behind if self._looked or behind else math.nan

    async def run(self, stop: asyncio.Event) -> None:
        """Look until stopped; after any failure with a new connection to Kafka."""
        while not stop.is_set():
            with tried_again_later("what waits to be counted"):
                await cut_short(self._session(stop), stop, finish_within=0)
            await pause_or_stop(self.period, stop)

    async def _session(self, stop: asyncio.Event) -> None:
        consumer = make_consumer(self.settings, group=None, client="kvittera-behind")
        try:
            await consumer.start()
            while not stop.is_set():
                async with asyncio.timeout(_PATIENCE):
                    await self.look(consumer)
                await pause_or_stop(self.period, stop)
        finally:
            await stop_in_time(consumer.stop, 2, "consumer")

    async def look(self, consumer: AIOKafkaConsumer) -> None:
        """Look once.

        Raises:
            Errors of Kafka and PostgreSQL, TimeoutError: it is not known what waits; what was seen before stays.
        """
        at = self.now()
        rows = await self.pool.fetch(self._sql["read_partitions"], list(self.topics))
        counted = {TopicPartition(r["topic"], r["part"]): r["next"] for r in rows}
        ends = await consumer.end_offsets(list(counted)) if counted else {}
        # While answers come some always wait, for milliseconds: only what the look before saw already is old.
        old = {part: n for part, n in counted.items() if n < self._ends.get(part, ends[part])}
        oldest = await self._oldest(old, ends) if old else None
        self._ends, self.seen, self._looked = ends, Seen(at, oldest), True
        if not self._begun:
            topics = [(await identity_now(self.settings, topic)).parts(topic) for topic in self.topics]
            self._begun = all(part in counted for parts in topics for part in parts)

    def at_most(self, seconds: float) -> bool:
        """Whether it is known that the counters are behind by so many seconds at most."""
        return self._begun and self.seen.behind(self.now()) <= seconds

    async def _oldest(
        self, positions: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
    ) -> float | None:
        options = {"max_partition_fetch_bytes": _ENOUGH_BYTES}
        reader = make_consumer(self.settings, group=None, client="kvittera-oldest", **options)
        try:
            await reader.start()
            return await oldest_waiting(reader, positions, ends)
        finally:
            await stop_in_time(reader.stop, 2, "reader")
