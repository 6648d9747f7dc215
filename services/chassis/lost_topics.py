"""Outbox rows whose topic Kafka does not have: put aside, so that no row of another topic waits behind them.

A row put aside keeps waiting under another shard, where the relay does not read; whoever asks whether something of a
key waits still finds it. As long as a shard has such rows of a topic, later ones follow them, so a key's order holds.
All come back in one transaction once Kafka has the topic.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import asyncpg
import structlog
from aiokafka import AIOKafkaProducer

from services.chassis.metrics import Metrics
from services.chassis.postgres import Database, named_sql
from services.chassis.record_batches import has_topic

log = structlog.get_logger()
_FILE = "lost_topics.sql"
_LOOK_EVERY = 5.0
_COUNT_EVERY = 60.0  # a million rows take seconds
_COUNT_SHARE = 20  # of the time at most one in so many seconds goes into counting
SHARDS = range(4)
"""As the SQL that writes outbox rows picks them."""
_PATIENCE = 600.0  # counting millions of rows or bringing them back takes longer than any statement of a relay may


@dataclass(slots=True)
class LostTopics:
    """The lost topics of one relay, with how many of its rows each holds up.

    Attributes:
        clock: seconds, never going back.
    """

    metrics: Metrics
    clock: Callable[[], float]
    rows: dict[str, int] = field(default_factory=dict)
    _looked: float = -math.inf
    _count_next: float = -math.inf
    _sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.chassis", _FILE))

    async def learn(self, connection: Database, shards: Sequence[int]) -> None:
        """Know what others put aside in these shards, before anything of them is sent."""
        await self._count(connection, shards, self.clock())

    async def _count(self, connection: Database, shards: Sequence[int], since: float) -> None:
        self._hold(await lost_topics(connection, shards, patience=_PATIENCE))
        self._count_next = self.clock() + max(_COUNT_EVERY, (self.clock() - since) * _COUNT_SHARE)

    async def put_aside(self, connection: Database, shards: Sequence[int], rows: Sequence[asyncpg.Record]) -> None:
        """Let these rows of lost topics wait where they hold up nobody."""
        if not rows:
            return
        await connection.execute(self._sql["put_aside"], shards, [r["id"] for r in rows])
        added = Counter(r["topic"] for r in rows)
        for topic in added.keys() - self.rows.keys():
            log.error("Kafka has no such topic: its records wait", action="put_aside", topic=topic)
        self._hold(Counter(self.rows) + added)

    async def look(self, connection: Database, producer: AIOKafkaProducer, shards: Sequence[int]) -> None:
        """From time to time: let the rows of topics that Kafka has again wait with the others.

        And count them anew: somebody may have deleted what nobody wants any more.
        """
        if not self.rows or self.clock() - self._looked < _LOOK_EVERY:
            return
        self._looked = self.clock()
        if self._looked >= self._count_next:
            await connection.execute(self._sql["forget_deleted"], shards, timeout=_PATIENCE)
            await self._count(connection, shards, self._looked)
        for topic in sorted(self.rows):
            if not await has_topic(producer, topic):
                continue
            await connection.execute(self._sql["bring_back"], shards, topic, timeout=_PATIENCE)
            log.info("Kafka has the topic: its records go out", action="bring_back", topic=topic, rows=self.rows[topic])
            self._hold({t: n for t, n in self.rows.items() if t != topic})

    def let_go(self) -> None:
        """Tell of no rows any more: the shards are others' from now on."""
        self._hold({})

    def _hold(self, rows: Mapping[str, int]) -> None:
        for topic in self.rows.keys() | rows.keys():
            self.metrics.set("kvittera_outbox_lost", rows.get(topic, 0), topic=topic)
        self.rows = dict(rows)


async def lost_topics(
    connection: Database, shards: Sequence[int] = SHARDS, *, patience: float | None = None
) -> dict[str, int]:
    """How many rows of each topic wait in these shards because Kafka does not have it.

    `patience` is in seconds; without it a statement may take as long as any of this connection.
    """
    rows = await connection.fetch(named_sql("services.chassis", _FILE)["lost_topics"], shards, timeout=patience)
    return {r["topic"]: r["n"] for r in rows}
