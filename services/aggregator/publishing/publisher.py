"""Publishing `satisfaction.cells.v1`: the present state of every touched cell, at most once per interval.

One process publishes at a time (session advisory lock). Versions in the values let readers drop the old;
the anti-entropy pass finds cells whose last record on the topic is older than the table and sends them
again, so that a paused publisher can never leave an old value as the last one (H38a).
"""

import asyncio
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import asyncpg
import numpy as np
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError

from schemas.topics import SATISFACTION_CELLS
from services.aggregator.counting.deltas import COLUMNS
from services.aggregator.counting.windows import Int64, unpack, window_start
from services.aggregator.publishing.comparison import Comparison
from services.aggregator.publishing.counted_cells import CountedCells, newest
from services.aggregator.publishing.followed import FollowedTopic
from services.aggregator.publishing.pace import Pace
from services.aggregator.publishing.records import CellRecords
from services.chassis.bigint_copy import read_rows
from services.chassis.failures import BROKEN_OFF, TryAgain, is_transient
from services.chassis.kafka import make_consumer, make_producer, stop_in_time, stop_producer
from services.chassis.known_server import KnownServer
from services.chassis.metrics import Metrics
from services.chassis.pauses import cut_short, pause_or_stop, pauses
from services.chassis.postgres import Database, connect, named_sql
from services.chassis.record_batches import Record, deliver, partitions_of, send_all
from services.chassis.settings import Settings

log = structlog.get_logger()
_SERVICE = "aggregator"
_CHUNK = 10_000
_SEND_TIMEOUT = 30.0
_FINISH_WITHIN = 4.0
_MOST_CELLS = 500_000  # 140 bytes each
_COLUMNS = 2 + len(COLUMNS)


def cell_key(cut: str, value: str, window: str, start: str | None) -> str:
    """The record key of a cell: the same cell, the same key, for ever."""
    return "|".join((cut, value, window, start or ""))


def cell_message(row: asyncpg.Record, as_of: datetime) -> dict[str, object]:
    """A row of the table as `satisfaction.cells.v1` says it."""
    cell = row["cell"]
    assert isinstance(cell, int)
    _, window, index = unpack(cell)
    counters = {name: row[name] for name in COLUMNS}
    scores = [counters.pop(f"s{n}") for n in range(1, 6)]
    return {
        "cut": row["cut"],
        "value": row["value"],
        "window": window.value,
        "start": window_start(window, index),
        "version": row["version"],
        "scores": scores,
        "answers": sum(int(str(s)) for s in scores),
        **counters,
        "as_of": as_of.isoformat(),
    }


@dataclass(slots=True)
class Publisher:
    """Publishes touched cells until stopped."""

    settings: Settings
    metrics: Metrics
    waiting: Callable[[], int] = lambda: 0
    """How many records still wait to be counted."""
    clock: Callable[[], float] = time.monotonic
    known: KnownServer | None = None
    _sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.aggregator"))
    _records: CellRecords = field(default_factory=lambda: CellRecords(named_sql("services.aggregator")))
    _counted: CountedCells = field(default_factory=CountedCells)
    _doorbell: asyncio.Event = field(default_factory=asyncio.Event)
    _topic: FollowedTopic = field(init=False)

    def __post_init__(self) -> None:
        """Follow the topic of the same installation."""
        self._topic = FollowedTopic(self.settings)

    def counted(self, touched: int, rows: Int64) -> None:
        """Tell the cells as they stand after a batch, which may not be committed yet, by its row in `touched`."""
        self._counted.keep(touched, rows)

    def wake(self) -> None:
        """Say that cells were touched, now that others can see it."""
        self._doorbell.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Publish until stopped; after any failure begin anew with new connections."""
        waits = pauses(first=0.1, longest=5)
        while not stop.is_set():
            try:
                # What is cut short loses nothing: what it did not publish stays touched.
                if not await cut_short(self._session(stop), stop, finish_within=_FINISH_WITHIN):
                    log.warning("cells were not published", action="abandon", what="publisher")
                waits = pauses(first=0.1, longest=5)
            except (*BROKEN_OFF, TryAgain) as error:
                if isinstance(error, asyncpg.PostgresError) and not is_transient(error):
                    raise
                log.warning("will try again", action="retry", what="publisher", error=type(error).__name__)
                self.metrics.count("kvittera_retries_total", what="publisher")
                await pause_or_stop(next(waits), stop)

    async def _session(self, stop: asyncio.Event) -> None:
        connection = await connect(self.settings, _SERVICE, known=self.known, command_timeout=60)
        producer = make_producer(self.settings, client="kvittera-cells")
        mirror = make_consumer(self.settings, group=None, client="kvittera-cells-mirror")
        try:
            if not await self._wait_for_turn(connection, stop):
                return
            # No limit to our patience: touched cells wait in their table, and counting goes on without Kafka's answer.
            await producer.start()
            await mirror.start()
            self._counted.begin()
            await self._publish_until_stopped(connection, producer, mirror, stop)
        finally:
            self._counted.end()
            await asyncio.gather(stop_producer(producer, 2), stop_in_time(mirror.stop, 2, "mirror"))
            connection.terminate()

    async def _wait_for_turn(self, connection: Database, stop: asyncio.Event) -> bool:
        while not await connection.fetchval("SELECT pg_try_advisory_lock(hashtext('aggregator.publisher'), 0)"):
            if await pause_or_stop(1.0, stop):
                return False
        return True

    async def _publish_until_stopped(
        self, connection: Database, producer: AIOKafkaProducer, mirror: AIOKafkaConsumer, stop: asyncio.Event
    ) -> None:
        pace = Pace(
            self.settings.publish_interval_seconds,
            self.settings.publish_interval_behind_seconds,
            self.settings.anti_entropy_seconds,
        )
        compared, took = -math.inf, 0.0
        self._topic.begin()
        while not stop.is_set():
            self._doorbell.clear()
            await self.publish_touched(connection, producer)
            if pace.comparison_is_due(self.clock() - compared, took, self.waiting()):
                compared = self.clock()
                await self.repair(connection, producer, mirror)
                took, compared = self.clock() - compared, self.clock()
            ended = self.clock()
            while not pace.pass_is_due(self.clock() - ended, self.waiting(), full=self._counted.full):
                if await pause_or_stop(self.settings.publish_interval_seconds, stop):
                    return
            await self._rest()

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(0.5):
                await self._doorbell.wait()
        except TimeoutError:
            pass

    async def publish_touched(self, connection: Database, producer: AIOKafkaProducer) -> int:
        """Publish every cell touched since the last time, once. Returns how many."""
        published, more = 0, True
        while more:
            # One snapshot: a cell touched meanwhile is published next time, with the higher version it has then.
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                waiting = await connection.fetch(self._sql["read_touched"])
                touched = _some(waiting)
                more = len(touched) < len(waiting)
                counted = self._counted.of(touched)
                read = await self._read(connection, "touched_cells", [t for t in touched if t not in counted])
                rows = newest(read, [*counted.values()])
                await self._records.learn(connection, rows[:, 0])
            if touched:
                await self._publish(producer, rows)
                await connection.execute(self._sql["forget_touched"], touched)
                self._counted.forget(touched)
            published += len(rows)
        return published

    async def _read(self, connection: Database, query: str, which: list[int]) -> Int64:
        """Cells with version and counters, whose names are learned in the same snapshot."""
        if not which:
            return np.empty((0, _COLUMNS), np.int64)
        rows = await read_rows(connection, self._sql[query], which, columns=_COLUMNS)
        await self._records.learn(connection, rows[:, 0])
        return rows

    async def _publish(self, producer: AIOKafkaProducer, rows: Int64) -> None:
        """Publish cells as they stand; one whose version is 0 is gone."""
        for first in range(0, len(rows), _CHUNK):
            chunk, now = rows[first : first + _CHUNK], datetime.now(UTC)
            gone = chunk[:, 1] == 0
            there = chunk[~gone]
            async with asyncio.timeout(_SEND_TIMEOUT):
                await self._send(producer, there, now)
                await self._send_singly(producer, self._records.others(there, now))
                await self._send_singly(producer, self._records.tombstones(chunk[gone, 0].tolist(), now))
            self.metrics.count("kvittera_outbox_published_total", len(chunk), topic=SATISFACTION_CELLS)

    async def _send(self, producer: AIOKafkaProducer, rows: Int64, now: datetime) -> None:
        partitions = await partitions_of(producer, SATISFACTION_CELLS)
        if isinstance(partitions, KafkaError):
            raise partitions
        batches = self._records.batches(rows, now, partitions)
        replies = await deliver(producer, SATISFACTION_CELLS, [(b.partition, b.batch) for b in batches])
        for (partition, _, told), reply in zip(batches, replies, strict=True):
            if isinstance(reply, KafkaError):
                raise reply
            self._topic.sent(partition, reply.offset, told)

    async def _send_singly(self, producer: AIOKafkaProducer, records: Sequence[Record]) -> None:
        for refusal in await send_all(producer, records):
            if refusal is not None:
                raise refusal

    async def repair(self, connection: Database, producer: AIOKafkaProducer, mirror: AIOKafkaConsumer) -> int:
        """Compare the topic's last record of each cell with the table; publish what differs. Returns how many."""
        # The topic is read to an end taken first; whatever is newer in the table after that must be on it.
        counted = await read_rows(connection, self._sql["all_versions"], columns=2)
        await self._topic.read(connection, mirror)
        behind, gone = await Comparison(self._topic, self._records).differing(connection, counted)
        differing = len(behind) + len(gone)
        if differing:
            # What is touched is published by the next pass anyway.
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                waiting = {r["cell"] for r in await connection.fetch(self._sql["waiting_cells"])}
                gone = [c for c in gone if c not in waiting]
                behind = [c for c in behind if c not in waiting]
                rows = await self._read(connection, "cells_by_key", behind + gone)
            rows = np.concatenate((rows, _gone(np.setdiff1d(gone, rows[:, 0]))))
            await self._publish(producer, rows)
            differing = len(rows)
        differing += await self._take_back_strays(connection, producer)
        if differing:
            log.warning("cells were behind on the topic", action="republish", cells=differing)
            self.metrics.count("kvittera_cells_republished_total", differing)
        return differing

    async def _take_back_strays(self, connection: Database, producer: AIOKafkaProducer) -> int:
        """Take back what a paused publisher told of a cut that was dropped meanwhile: no row leads to such cells."""
        strays = await self._topic.of_dropped_cuts(connection)
        for first in range(0, len(strays), _CHUNK):
            chunk = self._records.strays_gone(strays[first : first + _CHUNK], datetime.now(UTC))
            async with asyncio.timeout(_SEND_TIMEOUT):
                await self._send_singly(producer, chunk)
        return len(strays)


def _gone(cells: Int64) -> Int64:
    """Rows of cells that are not there any more: version 0, and nothing counted."""
    rows = np.zeros((len(cells), _COLUMNS), np.int64)
    rows[:, 0] = cells
    return rows


def _some(rows: Sequence[asyncpg.Record]) -> list[int]:
    """The numbers of the first rows that tell of no more cells than fit into memory; at least one row.

    A cell that the rest tells of too is then sent twice, with the same version and event id.
    """
    cells = 0
    touched: list[int] = []
    for row in rows:
        cells += row["cells"]
        if touched and cells > _MOST_CELLS:
            break
        touched.append(row["id"])
    return touched
