"""The relay: every committed outbox row reaches Kafka, in key order (guarantee 6).

Rows are found by their missing `published_at`, never by a cursor on the id: ids are drawn before commits
and a cursor loses the late ones (19 % in a test, H35). One relay works on a shard at a time, held by a
session advisory lock. A row may be sent twice after a crash; its event id and version stay the same.
"""

import asyncio
from collections.abc import Sequence

import asyncpg
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from schemas.cloudevents import Event, to_headers
from services.chassis.deadletter import unpack_headers
from services.chassis.failures import is_transient
from services.chassis.kafka import make_producer, start_with_patience
from services.chassis.metrics import Metrics
from services.chassis.pauses import pause_or_stop, pauses
from services.chassis.postgres import Database, connect, named_sql
from services.chassis.settings import Settings

log = structlog.get_logger()
_BATCH = 2_000
_QUIET = 0.1
_SEND_TIMEOUT = 30.0
_CLEAN_EVERY = 60.0


class Relay:
    """Moves one service's outbox to Kafka until stopped."""

    def __init__(self, settings: Settings, service: str, metrics: Metrics) -> None:
        self._settings = settings
        self._service = service
        self._metrics = metrics
        self._sql = named_sql("services.chassis", "outbox.sql")
        self._doorbell = asyncio.Event()

    def wake(self) -> None:
        """Say that rows were committed; without it they are found within 0.1 s."""
        self._doorbell.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Relay until stopped; after any failure begin anew with a new connection and a new producer (H14)."""
        waits = pauses(first=0.1, longest=5)
        while not stop.is_set():
            try:
                await self._session(stop)
                waits = pauses(first=0.1, longest=5)
            except (
                KafkaError,
                asyncpg.PostgresError,
                OSError,
                TimeoutError,
                asyncpg.InterfaceError,
            ) as error:
                if isinstance(error, asyncpg.PostgresError) and not is_transient(error):
                    raise
                log.warning("will try again", action="retry", what="relay", error=type(error).__name__)
                self._metrics.count("kvittera_retries_total", what="relay")
                await pause_or_stop(next(waits), stop)

    async def _session(self, stop: asyncio.Event) -> None:
        connection = await connect(self._settings, self._service, command_timeout=30)
        producer = make_producer(self._settings, client=f"kvittera-{self._service}-relay")
        try:
            await start_with_patience(producer.start, self._settings, "the outbox relay")
            shards: list[int] = []
            loop = asyncio.get_running_loop()
            cleaned = looked = -1e9
            while not stop.is_set():
                if len(shards) < self._settings.outbox_shards and loop.time() - looked > 1:
                    looked = loop.time()
                    shards = sorted({*shards, *await self._take_shards(connection, shards)})
                if loop.time() - cleaned > _CLEAN_EVERY:
                    cleaned = loop.time()
                    await connection.execute(self._sql["forget_published"], self._settings.outbox_keep_hours * 3600)
                self._doorbell.clear()
                if not await self._move(connection, producer, shards):
                    await self._measure(connection)
                    await self._rest(stop)
        finally:
            await self._put_down(connection, producer)

    async def _take_shards(self, connection: Database, have: Sequence[int]) -> list[int]:
        rows = await connection.fetch(self._sql["take_shards"], f"{self._service}.outbox", self._settings.outbox_shards)
        # A session may lock twice what it holds already; only new ones count.
        return [r["shard"] for r in rows if r["shard"] not in have]

    async def _move(self, connection: Database, producer: AIOKafkaProducer, shards: Sequence[int]) -> int:
        rows = await connection.fetch(self._sql["read_unpublished"], shards, _BATCH)
        if not rows:
            return 0
        async with asyncio.timeout(_SEND_TIMEOUT):
            # The producer keeps the order of sends per partition; the futures tell what the broker kept.
            sent = [await producer.send(r["topic"], r["value"], key=r["key"], headers=self._headers(r)) for r in rows]
            for outcome in await asyncio.gather(*sent, return_exceptions=True):
                if isinstance(outcome, BaseException):
                    raise outcome
        await connection.execute(self._sql["mark_published"], [r["id"] for r in rows])
        for topic in {r["topic"] for r in rows}:
            self._metrics.count("kvittera_outbox_published_total", sum(r["topic"] == topic for r in rows), topic=topic)
        return len(rows)

    def _headers(self, row: asyncpg.Record) -> list[tuple[str, bytes | None]]:
        if row["raw_headers"] is not None:
            return unpack_headers(row["raw_headers"])
        event = Event(
            id=str(row["event_id"]),
            source=f"/kvittera/{self._service}",
            type=row["topic"],
            time=row["happened_at"],
            data=row["value"],
            traceparent=row["traceparent"],
        )
        return list(to_headers(event))

    async def _measure(self, connection: Database) -> None:
        row = await connection.fetchrow(self._sql["measure"])
        assert row is not None
        self._metrics.set("kvittera_outbox_waiting", row["waiting"])
        self._metrics.set("kvittera_outbox_age_seconds", row["age"])

    async def _rest(self, stop: asyncio.Event) -> None:
        try:
            async with asyncio.timeout(_QUIET):
                await self._doorbell.wait()
        except TimeoutError:
            if stop.is_set():
                return

    async def _put_down(self, connection: Database, producer: AIOKafkaProducer) -> None:
        try:
            async with asyncio.timeout(5):
                await producer.stop()
        except (TimeoutError, KafkaError, OSError) as error:
            log.warning("producer did not stop", action="abandon", error=type(error).__name__)
        connection.terminate()
