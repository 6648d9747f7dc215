"""The relay: every committed outbox row reaches Kafka, in key order (guarantee 6).

Each row has a narrow one in `outbox_waiting` until Kafka has it. Never is it a cursor on the id that finds rows: ids
are drawn before commits and a cursor loses the late ones (19 % in a test, H35). One relay works on a shard at a time,
held by a session advisory lock. A row may be sent twice after a crash; its event id and version stay the same.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import asyncpg
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError

from schemas.cloudevents import Stamp
from services.chassis.deadletter import unpack_headers
from services.chassis.failures import BROKEN_OFF, is_transient
from services.chassis.kafka import make_producer, stop_producer
from services.chassis.known_server import KnownServer
from services.chassis.large_letters import send_smaller
from services.chassis.lost_topics import SHARDS, LostTopics
from services.chassis.metrics import Metrics
from services.chassis.outbox_cleaning import Cleaning
from services.chassis.pauses import cut_short, pause_or_stop, pauses
from services.chassis.postgres import Database, connect, named_sql
from services.chassis.record_batches import Record, is_too_large, send_all
from services.chassis.settings import Settings

log = structlog.get_logger()
_BATCH = 500  # of each shard
_QUIET = 0.1
_MEASURE_EVERY = 1.0
_MANY = 25  # more than come in 40 ms at 500 a second
_GATHER = 0.04
_GATHER_LONGEST = 0.12
_FOR_LONGER = 2000  # rows a second; from so many on they gather longer and longer
_SEND_TIMEOUT = 30.0
_FINISH_WITHIN = 4.0
_OWN_SESSION = "SET synchronous_commit TO off; SET enable_seqscan TO off; SET idle_session_timeout TO '60s'"
_UNKNOWN = UnknownTopicOrPartitionError


class _Moved(NamedTuple):
    """What a pass did; `more`: it left rows behind."""

    rows: int
    more: bool


class Relay:
    """Moves one service's outbox to Kafka until stopped."""

    def __init__(self, settings: Settings, service: str, metrics: Metrics, known: KnownServer | None = None) -> None:
        self._settings = settings
        self._service = service
        self._metrics = metrics
        self._known = known
        self._sql = named_sql("services.chassis", "outbox.sql")
        self._doorbell = asyncio.Event()
        self._pauses = pauses(first=0.1, longest=5)
        self._stamps: dict[str, Stamp] = {}

    def wake(self) -> None:
        """Say that rows were committed; without it they are found within 0.1 s."""
        self._doorbell.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Relay until stopped; after any failure begin anew with a new connection and a new producer (H14)."""
        while not stop.is_set():
            try:
                # What is cut short loses nothing: its rows simply wait.
                if not await cut_short(self._session(stop), stop, finish_within=_FINISH_WITHIN):
                    log.warning("batch was not finished", action="abandon", what="relay")
            except BROKEN_OFF as error:
                if not is_transient(error):
                    raise
                log.warning("will try again", action="retry", what="relay", error=type(error).__name__)
                self._metrics.count("kvittera_retries_total", what="relay")
                await pause_or_stop(next(self._pauses), stop)

    async def _session(self, stop: asyncio.Event) -> None:
        connection = await connect(self._settings, self._service, known=self._known, command_timeout=30)
        producer = make_producer(self._settings, client=f"kvittera-{self._service}-relay")
        loop = asyncio.get_running_loop()
        lost = LostTopics(self._metrics, loop.time)
        try:
            # Only the end of waiting is written here. What a crash takes of that is sent again, as after any crash.
            # No plan from when nothing waited may read a whole table. And whom a network has forgotten lets its shards
            # go, also where something in between still answers for it.
            await connection.execute(_OWN_SESSION)
            await self._measure(connection)  # also while Kafka is away, when it matters most
            # No limit to our patience: rows wait safely, and the service goes on without Kafka (guarantee 1).
            await producer.start()
            shards: list[int] = []
            cleaning = Cleaning(self._settings.outbox_keep_hours * 3600, loop.time)
            looked = measured = -1e9
            while not stop.is_set():
                if len(shards) < len(SHARDS) and loop.time() - looked > 1:
                    looked = loop.time()
                    if taken := await self._take_shards(connection, shards):
                        shards += taken
                        await lost.learn(connection, shards)
                await lost.look(connection, producer, shards)
                await cleaning.go_on(connection)
                self._doorbell.clear()
                began = loop.time()
                moved = await self._move(connection, producer, shards, lost)
                if began - measured > _MEASURE_EVERY:  # also while rows move: those that come may be more
                    measured = began
                    await self._measure(connection)
                if not moved.rows:
                    await self._rest()
                elif not moved.more and (pause := seconds_to_gather(moved.rows, loop.time() - began)):
                    await asyncio.sleep(pause)
                self._pauses = pauses(first=0.1, longest=5)
        finally:
            lost.let_go()
            await self._put_down(connection, producer)

    async def _take_shards(self, connection: Database, have: Sequence[int]) -> list[int]:
        free = [n for n in SHARDS if n not in have]
        rows = await connection.fetch(self._sql["take_shards"], f"{self._service}.outbox", free)
        return [r["shard"] for r in rows]

    async def _move(
        self, connection: Database, producer: AIOKafkaProducer, shards: Sequence[int], lost: LostTopics
    ) -> _Moved:
        waiting = await connection.fetch(self._sql["read_waiting"], shards, _BATCH)
        if not waiting:
            return _Moved(0, more=False)
        rows = [r for r in waiting if r["topic"] is not None and r["topic"] not in lost.rows]
        outcomes = await _send(producer, [self._record(r) for r in rows])
        kept, unknown, refused = _sort(rows, outcomes)
        await lost.put_aside(connection, shards, [*(r for r in waiting if r["topic"] in lost.rows), *unknown])
        done = [*kept, *(r for r in waiting if r["topic"] is None)]
        await connection.execute(self._sql["end_waiting"], shards, [r["id"] for r in done])
        for topic, n in Counter(r["topic"] for r in kept).items():
            self._metrics.count("kvittera_outbox_published_total", n, topic=topic)
        if refused is not None:
            raise refused
        return _Moved(len(waiting), more=max(Counter(r["shard"] for r in waiting).values()) == _BATCH)

    def _record(self, row: asyncpg.Record) -> Record:
        return Record(row["topic"], row["key"], row["value"], self._headers(row))

    def _headers(self, row: asyncpg.Record) -> Sequence[tuple[str, bytes | None]]:
        if row["raw_headers"] is not None:
            return unpack_headers(row["raw_headers"])
        stamp = self._stamps.get(row["topic"])
        if stamp is None:
            stamp = self._stamps[row["topic"]] = Stamp(source=f"/kvittera/{self._service}", type=row["topic"])
        return stamp(str(row["event_id"]), row["happened_at"], row["traceparent"], tombstone=row["value"] is None)

    async def _measure(self, connection: Database) -> None:
        row = await connection.fetchrow(self._sql["measure"])
        assert row is not None
        self._metrics.set("kvittera_outbox_waiting", row["waiting"])
        self._metrics.set("kvittera_outbox_age_seconds", row["age"])

    async def _rest(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_QUIET):
                await self._doorbell.wait()

    async def _put_down(self, connection: Database, producer: AIOKafkaProducer) -> None:
        await stop_producer(producer, 2)
        connection.terminate()


async def _send(producer: AIOKafkaProducer, records: Sequence[Record]) -> Sequence[KafkaError | None]:
    async with asyncio.timeout(_SEND_TIMEOUT):
        outcomes = await send_all(producer, records)
    if not any(map(is_too_large, outcomes)):
        return outcomes
    async with asyncio.timeout(_SEND_TIMEOUT):
        return await send_smaller(producer, records, outcomes, seconds=_SEND_TIMEOUT / 3)


def seconds_to_gather(moved: int, took: float) -> float:
    """How long rows may gather before the next pass, after one that moved so many and took so long.

    A pass costs PostgreSQL, Kafka and this process about what a hundred of its rows do. In quiet times rows do not
    wait. The rate decides how long: more than 2,000 a second make each pause longer than the last, fewer shorter.
    """
    if moved < _MANY:
        return 0.0
    return max(0.0, min(_GATHER_LONGEST, max(_GATHER, moved / _FOR_LONGER)) - took)


class _Sorted(NamedTuple):
    """Rows that Kafka kept, those of topics that it does not have, and the first other refusal."""

    kept: list[asyncpg.Record]
    unknown: list[asyncpg.Record]
    refused: KafkaError | None


def _sort(rows: Sequence[asyncpg.Record], outcomes: Sequence[KafkaError | None]) -> _Sorted:
    """Rows behind a refused one of their key go again, after it."""
    kept: list[asyncpg.Record] = []
    unknown: list[asyncpg.Record] = []
    held: set[tuple[str, bytes | None]] = set()
    refusals: list[KafkaError] = []
    lost = {r["topic"] for r, outcome in zip(rows, outcomes, strict=True) if isinstance(outcome, _UNKNOWN)}
    for row, outcome in zip(rows, outcomes, strict=True):
        place = (row["topic"], row["key"])
        if outcome is not None:
            held.add(place)
        if place not in held:
            kept.append(row)
        elif row["topic"] in lost:
            unknown.append(row)
        elif outcome is not None:
            refusals.append(outcome)
    return _Sorted(kept, unknown, refusals[0] if refusals else None)
