"""Publishing to partners: at each moment of a grid into the table, and from there to `satisfaction.partner.<id>.v1`.

One process does it at a time (session advisory lock). What was not sent is sent after a restart, byte for byte;
a comparison of each topic with the table sends again what is behind (H38a).
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import asyncpg
import orjson
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.cloudevents import Event, to_headers
from schemas.partners import partner_topic
from services.aggregator.partners.moments import Publication
from services.aggregator.partners.partners import Partners
from services.chassis.failures import TryAgain, is_transient
from services.chassis.kafka import make_consumer, make_producer, stop_in_time, stop_producer
from services.chassis.known_server import KnownServer
from services.chassis.metrics import Metrics
from services.chassis.pauses import cut_short, pause_or_stop, pauses
from services.chassis.postgres import Database, connect, database_time, named_sql
from services.chassis.record_batches import Record, send_all
from services.chassis.settings import Settings
from services.chassis.standing_topic import while_it_stands
from services.chassis.topic_identity import identity_now

log = structlog.get_logger()
_SERVICE = "aggregator"
_LOOK_EVERY = 10.0
_SEND_TIMEOUT = 30.0
_FINISH_WITHIN = 4.0
_EVENTS = uuid.UUID("6b0b4bd3-5c1d-4f0b-9a55-0d1c0a3a8f6e")


@dataclass(slots=True)
class PartnerPublisher:
    """Publishes to all partners until stopped."""

    settings: Settings
    metrics: Metrics
    counted: Callable[[], bool]
    """Whether what people answered is in the tables: what is missing or old there must not be published."""
    now: Callable[[Database], Awaitable[datetime]] = database_time  # one process's clock must not close windows
    partners: Partners = field(default_factory=Partners)
    known: KnownServer | None = None
    _compared: dict[str, float] = field(default_factory=dict)
    """When each topic was last compared: beyond sessions, because one topic may end them all."""
    _ahead: dict[str, bool] = field(default_factory=dict)
    """Of each partner that was looked at: whether the topic knows more than the table."""
    _sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.aggregator", "partners.sql"))

    async def run(self, stop: asyncio.Event) -> None:
        """Publish until stopped; after any failure begin anew with new connections."""
        waits = pauses(first=0.1, longest=30)
        while not stop.is_set():
            try:
                if not await cut_short(self._session(stop), stop, finish_within=_FINISH_WITHIN):
                    log.warning("partners were not told", action="abandon", what="partners")
                waits = pauses(first=0.1, longest=30)
            except (
                TryAgain,
                KafkaError,
                asyncpg.PostgresError,
                asyncpg.InterfaceError,
                OSError,
                TimeoutError,
            ) as error:
                if isinstance(error, asyncpg.PostgresError) and not is_transient(error):
                    raise
                log.warning("will try again", action="retry", what="partners", error=type(error).__name__)
                self.metrics.count("kvittera_retries_total", what="partners")
                await pause_or_stop(next(waits), stop)

    async def _session(self, stop: asyncio.Event) -> None:
        connection = await connect(self.settings, _SERVICE, known=self.known, command_timeout=600)
        producer: AIOKafkaProducer | None = None
        try:
            while not await connection.fetchval("SELECT pg_try_advisory_lock(hashtext('aggregator.partners'), 0)"):
                if await pause_or_stop(1.0, stop):
                    return
            producer = make_producer(self.settings, client="kvittera-partners")
            await producer.start()
            await self._publish_until_stopped(connection, producer, stop)
        finally:
            if producer is not None:
                await stop_producer(producer, 2)
            connection.terminate()

    async def _publish_until_stopped(
        self, connection: Database, producer: AIOKafkaProducer, stop: asyncio.Event
    ) -> None:
        while not stop.is_set():
            failed: Exception | None = None
            for partner in await self.partners.all(connection):
                if partner.revoked_at is None:
                    try:
                        await self._publish_and_compare(connection, producer, partner.view.partner)
                    except (TryAgain, KafkaError, TimeoutError) as error:
                        failed = error  # a topic that is missing, or forbidden, must not hold up the other partners
            if failed is not None:
                raise failed
            await pause_or_stop(_LOOK_EVERY, stop)

    async def _publish_and_compare(self, connection: Database, producer: AIOKafkaProducer, partner: str) -> None:
        now = asyncio.get_running_loop().time()
        compare = now - self._compared.setdefault(partner, now) > self.settings.anti_entropy_seconds
        await self.publish(connection, producer, partner, compare=compare)
        if compare:
            self._compared[partner] = now

    async def publish(self, connection: Database, producer: AIOKafkaProducer, partner: str, *, compare: bool) -> int:
        """Bring one partner's table and topic up to date. Returns how many records were sent."""
        if await self._is_ahead(connection, partner):
            return 0
        if self.counted():
            changed = await Publication(self.settings).make(connection, partner, await self.now(connection))
            if changed is not None:
                log.info("partner cells published", cells=changed)
        if compare:
            await self._mark_behind(connection, partner)
        count = 0
        while rows := await connection.fetch(self._sql["unsent"], partner):
            await self._send(producer, partner, rows)
            await connection.execute(self._sql["sent"], partner, [r["key"] for r in rows], [r["version"] for r in rows])
            count += len(rows)
        return count

    async def _is_ahead(self, connection: Database, partner: str) -> bool:
        # The table was restored to before what the partner has read: told anew it would differ by single people.
        if partner not in self._ahead:
            kept = {r["key"]: r for r in await connection.fetch(self._sql["partner_cells"], partner)}
            last = await self._last_values(partner)
            self._ahead[partner] = any(_is_newer(value, kept.get(key)) for key, value in last.items())
            if self._ahead[partner]:
                log.error("a partner was told more than its table knows", action="revoke", partner=partner)
        return self._ahead[partner]

    async def _send(self, producer: AIOKafkaProducer, partner: str, rows: list[asyncpg.Record]) -> None:
        records = [
            Record(partner_topic(partner), row["key"].encode(), row["value"], to_headers(_event(partner, row)))
            for row in rows
        ]
        async with asyncio.timeout(_SEND_TIMEOUT):
            for refusal in await send_all(producer, records):
                if refusal is not None:
                    raise refusal
        self.metrics.count("kvittera_outbox_published_total", len(rows), topic="satisfaction.partner.v1")

    async def _mark_behind(self, connection: Database, partner: str) -> None:
        """Have sent again what the topic does not end with as the table says it."""
        rows = await connection.fetch(self._sql["partner_cells"], partner)
        last = await self._last_values(partner)
        behind = [r["key"] for r in rows if r["sent"] == r["version"] and last.get(r["key"]) != r["value"]]
        if behind:
            log.warning("cells were behind on a partner's topic", action="republish", cells=len(behind))
            self.metrics.count("kvittera_cells_republished_total", len(behind))
            await connection.execute(self._sql["send_again"], partner, behind)

    async def _last_values(self, partner: str) -> dict[str, bytes | None]:
        topic = partner_topic(partner)
        now = await identity_now(self.settings, topic)
        return await while_it_stands(self.settings, topic, now, self._last_of(now.parts(topic)))

    async def _last_of(self, partitions: Sequence[TopicPartition]) -> dict[str, bytes | None]:
        mirror: AIOKafkaConsumer = make_consumer(self.settings, group=None, client="kvittera-partners-mirror")
        await mirror.start()
        try:
            mirror.assign(partitions)
            await mirror.seek_to_beginning(*partitions)
            ends = await mirror.end_offsets(partitions)
            found: dict[str, bytes | None] = {}
            while any([await mirror.position(p) < ends[p] for p in partitions]):
                for records in (await mirror.getmany(timeout_ms=500, max_records=20_000)).values():
                    found |= {(r.key or b"").decode(errors="replace"): r.value for r in records}
            return found
        finally:
            await stop_in_time(mirror.stop, 2, "mirror")


def _is_newer(value: bytes | None, row: asyncpg.Record | None) -> bool:
    if value is None:  # taken back, of which the table knows nothing
        return row is None or (row["value"] is not None and row["sent"] == row["version"])
    return _version(value) > (0 if row is None else row["version"])


def _version(value: bytes) -> int:
    try:
        return int(orjson.loads(value).get("version", 0))
    except (ValueError, AttributeError):
        return 0  # what no publisher of ours has written


def _event(partner: str, row: asyncpg.Record) -> Event:
    return Event(
        id=str(uuid.uuid5(_EVENTS, f"{partner}|{row['key']}|{row['version']}")),
        source="/kvittera/aggregator",
        type="satisfaction.partner.v1",
        time=row["as_of"],  # the moment of the grid: when a record was made tells nothing
        data=b"",
    )
