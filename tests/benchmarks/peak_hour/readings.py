"""What stands on the disks and meters of a running system at one moment, and how much came between two."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
from aiokafka import TopicPartition

from schemas.topics import CARDS
from services.chassis.kafka import make_consumer
from services.chassis.settings import Settings
from tests.benchmarks.machine import family_cpu_seconds

_TABLES = """
SELECT n.nspname || '.' || regexp_replace(c.relname, '_[0-9]{4}_[0-9]{2}$', '') AS name,
       sum(pg_total_relation_size(c.oid))::bigint AS bytes
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname IN ('notifier', 'survey', 'aggregator') GROUP BY 1
"""
_WAL = "SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint"
_WAL_BY_SERVICE = """
SELECT a.pid, replace(a.application_name, 'kvittera-', '') AS name, w.wal_bytes::bigint AS bytes
FROM pg_stat_activity AS a, pg_stat_get_backend_wal(a.pid) AS w WHERE a.application_name LIKE 'kvittera-%'
"""
_COUNTS = """
SELECT (SELECT count(*) FROM notifier.decision WHERE kind = 'ask') AS deliveries,
       (SELECT count(*) FROM notifier.decision WHERE kind = 'ask' AND outcome = 'scheduled') AS asked,
       (SELECT count(*) FROM survey.response) AS answered,
       (SELECT count(*) FROM notifier.outbox) + (SELECT count(*) FROM survey.outbox) AS outbox
"""
_WAITING = """
SELECT (SELECT count(*) FROM notifier.outbox_waiting) AS notifier,
       (SELECT count(*) FROM survey.outbox_waiting) AS survey
"""


@dataclass(frozen=True, slots=True)
class Reading:
    """Everything that only grows, at one moment; a difference of two is what came between.

    Attributes:
        at: seconds on a steady clock.
        records, log_bytes: by topic, what was appended and what its segments take on the broker's disk.
        table_bytes: by table, with indexes.
        wal_bytes: of the whole server.
        cpu: seconds of processor time by process; a server's children included.
        counts: deliveries, asked, answered, outbox.
    """

    at: float
    records: Counter[str]
    log_bytes: Counter[str]
    table_bytes: Counter[str]
    wal_bytes: int
    cpu: Counter[str]
    counts: Counter[str]

    def since(self, before: "Reading") -> "Reading":
        """What came between."""
        return Reading(
            self.at - before.at,
            _less(self.records, before.records),
            _less(self.log_bytes, before.log_bytes),
            _less(self.table_bytes, before.table_bytes),
            self.wal_bytes - before.wal_bytes,
            _less(self.cpu, before.cpu),
            _less(self.counts, before.counts),
        )


def _less(now: Counter[str], before: Counter[str]) -> Counter[str]:
    return Counter({name: value - before[name] for name, value in now.items()})


async def read(
    at: float, connection: asyncpg.Connection, settings: Settings, kafka: Path, pids: Mapping[str, int]
) -> Reading:
    """Look at all of it; `kafka` is the folder of the broker's segments."""
    tables = {row["name"]: row["bytes"] for row in await connection.fetch(_TABLES)}
    return Reading(
        at,
        await _records(settings),
        _log_bytes(kafka),
        Counter(tables),
        await connection.fetchval(_WAL),
        Counter({name: family_cpu_seconds(pid) for name, pid in pids.items()}),
        await _counted(connection, _COUNTS),
    )


async def _counted(connection: asyncpg.Connection, question: str) -> Counter[str]:
    row = await connection.fetchrow(question)
    assert row is not None
    return Counter(dict(row))


async def _records(settings: Settings) -> Counter[str]:
    consumer = make_consumer(settings, group=None, client="bench")
    await consumer.start()
    try:
        ends = await consumer.end_offsets(_partitions(settings))
    finally:
        await consumer.stop()
    found: Counter[str] = Counter()
    for part, end in ends.items():
        found[part.topic] += end
    return found


def _partitions(settings: Settings) -> list[TopicPartition]:
    """Of all topics, as they were made from the cards."""
    wanted = settings.kafka_partitions or 1
    numbers = {name: 1 if card.partitions == 1 else wanted for name, card in CARDS.items()}
    return [TopicPartition(name, n) for name, number in numbers.items() for n in range(number)]


def _log_bytes(kafka: Path) -> Counter[str]:
    found: Counter[str] = Counter()
    for segment in kafka.glob("*/*.log"):
        found[segment.parent.name.rpartition("-")[0]] += segment.stat().st_size
    return found


@dataclass(slots=True)
class Extremes:
    """What only looking again and again shows.

    Attributes:
        waiting: the most rows of each outbox that waited for Kafka.
        wal: write-ahead log by service, of connections that have ended too.
    """

    waiting: Counter[str] = field(default_factory=Counter)
    wal: Counter[str] = field(default_factory=Counter)
    _seen: dict[int, int] = field(default_factory=dict)

    async def look(self, connection: asyncpg.Connection) -> None:
        """Look once more."""
        for name, rows in (await _counted(connection, _WAITING)).items():
            self.waiting[name] = max(self.waiting[name], rows)
        for row in await connection.fetch(_WAL_BY_SERVICE):
            before = self._seen.get(row["pid"], 0)
            self.wal[row["name"]] += row["bytes"] - (before if row["bytes"] >= before else 0)
            self._seen[row["pid"]] = row["bytes"]
