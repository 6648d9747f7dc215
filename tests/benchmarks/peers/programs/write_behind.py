"""Counting as an expert would write it in one plain program: hash maps, written behind into PostgreSQL.

Once per commit interval the changed answers and cells and the offsets go into one transaction; once per publish
interval the changed cells go to the topic in one transaction of Kafka's. What was written and not yet published is
marked in the table and published at the next start.

    python -m tests.benchmarks.peers.programs.write_behind BOOTSTRAP INPUT OUTPUT ID COMMIT_MS PUBLISH_MS DSN
"""

import signal
import sys
import time
from dataclasses import dataclass, field

import psycopg
from confluent_kafka import Consumer, Producer, TopicPartition

from tests.benchmarks.peers.programs.counters import Counters
from tests.benchmarks.peers.programs.job import COUNTERS, written
from tests.benchmarks.peers.programs.rows import (
    COPY_ANSWERS,
    COPY_CELLS,
    COPY_UNITS,
    COUNTS,
    MERGES,
    TABLES,
    answer_rows,
    cell_rows,
    unit_rows,
)

_MOST = 10_000
_PATIENCE_S = 30


@dataclass(slots=True)
class Program:
    """Reads all partitions of one topic; a second copy of it is refused by the offsets in the table."""

    connection: psycopg.Connection
    producer: Producer
    output: str
    counters: Counters = field(default_factory=Counters)
    next: dict[int, int] = field(default_factory=dict)
    """The next record of each partition, as counted."""
    _stored: dict[int, int] = field(default_factory=dict)
    _flush: int = 0
    _unpublished: set[int] = field(default_factory=set)

    def restore(self, partitions: int) -> None:
        """Take up what the tables hold."""
        self.connection.execute(TABLES)
        self.connection.execute("INSERT INTO published VALUES (0, 0) ON CONFLICT DO NOTHING")
        for partition in range(partitions):
            self.connection.execute("INSERT INTO progress VALUES (%s, 0) ON CONFLICT DO NOTHING", [partition])
        counters = self.counters
        for (name,) in self.connection.execute("SELECT name FROM unit ORDER BY id"):
            counters.learn(name)
        counters.units_written = len(counters.names)
        for response, revision, told in self.connection.execute("SELECT response, revision, told FROM answer"):
            counters.last[response.bytes] = (revision, COUNTS[told])
        rows = self.connection.execute("SELECT cell, flush, c1, c2, c3, c4, c5, c6, c7, p.upto FROM cell, published p")
        for cell, flush, *counts, upto in rows:
            counters.cells[cell] = sum(n << 32 * (COUNTERS - 1 - i) for i, n in enumerate(counts))
            self._flush = max(self._flush, flush)
            if flush > upto:
                self._unpublished.add(cell)
        self._stored = dict(self.connection.execute("SELECT partition, next FROM progress").fetchall())
        self.next = dict(self._stored)
        self.connection.commit()

    def write(self) -> None:
        """Put everything that changed into the tables, with the offsets, in one transaction.

        Raises:
            RuntimeError: another process has written since.
        """
        changed = self.counters.roll_up()
        self._flush += 1
        counters = self.counters
        with self.connection.transaction(), self.connection.cursor() as cursor:
            for partition, offset in self.next.items():
                stored = self._stored[partition]
                cursor.execute(
                    "UPDATE progress SET next = %s WHERE partition = %s AND next = %s", [offset, partition, stored]
                )
                if cursor.rowcount != 1:
                    raise RuntimeError("another process counts too")
            new_units = enumerate(counters.names[counters.units_written :], counters.units_written)
            with cursor.copy(COPY_UNITS) as copy:
                copy.write(unit_rows(new_units))
            with cursor.copy(COPY_ANSWERS) as copy:
                copy.write(answer_rows((r, counters.last[r]) for r in counters.answers_changed))
            with cursor.copy(COPY_CELLS) as copy:
                # In the order of the key, so that pages of the index are visited once.
                copy.write(cell_rows(((c, counters.cells[c]) for c in sorted(changed)), self._flush))
            cursor.execute(MERGES)
        counters.units_written = len(counters.names)
        counters.answers_changed.clear()
        self._stored = dict(self.next)
        self._unpublished |= changed

    def publish(self) -> None:
        """Send the changed cells in one transaction, and remember that they are published."""
        self.producer.begin_transaction()
        key, cells = self.counters.key, self.counters.cells
        for number, cell in enumerate(self._unpublished):
            # A reader takes the first byte for an input partition; these counters are of all.
            self.producer.produce(self.output, value=written(cells[cell]), key=b"\0" + key(cell))
            if number % _MOST == 0:
                self.producer.poll(0)
        self.producer.commit_transaction(_PATIENCE_S)
        self._unpublished.clear()
        self.connection.execute("UPDATE published SET upto = %s", [self._flush])
        self.connection.commit()

    def is_behind(self) -> bool:
        """Whether something is counted and not written."""
        return self.next != self._stored

    def has_news(self) -> bool:
        """Whether something is written and not published."""
        return bool(self._unpublished)


def run(program: Program, consumer: Consumer, commit_s: float, publish_s: float) -> None:
    """Count until told to stop."""
    stopping: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stopping.append(number))
    wrote = published = time.monotonic()
    while not stopping:
        messages = [m for m in consumer.consume(_MOST, timeout=0.05) if m.error() is None]
        program.counters.add(m.value() for m in messages)
        for message in messages:
            program.next[message.partition()] = message.offset() + 1
        now = time.monotonic()
        if now - wrote >= commit_s and program.is_behind():
            program.write()
            wrote = now
        if now - published >= publish_s and program.has_news():
            program.publish()
            published = now
    consumer.close()


def main() -> None:
    """Connect, take up what was counted, and go on."""
    bootstrap, source, output, name, commit_ms, publish_ms, dsn = sys.argv[1:]
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": name, "enable.auto.commit": False, "fetch.min.bytes": 65_536}
    )
    producer = Producer(
        {"bootstrap.servers": bootstrap, "transactional.id": name, "linger.ms": 20, "batch.size": 262_144}
        | {"queue.buffering.max.messages": 2_000_000}
    )
    producer.init_transactions(_PATIENCE_S)
    with psycopg.connect(dsn) as connection:
        program = Program(connection, producer, output)
        program.restore(len(consumer.list_topics(source).topics[source].partitions))
        consumer.assign([TopicPartition(source, partition, offset) for partition, offset in program.next.items()])
        run(program, consumer, int(commit_ms) / 1000, int(publish_ms) / 1000)


if __name__ == "__main__":
    main()
