"""What the tests of the chassis share: topics of their own, records of any form, effects that can be counted."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import NewTopic

from services.chassis.consumer import Reader
from services.chassis.failures import Poison
from services.chassis.faststream_feed import carry
from services.chassis.fence import Fence
from services.chassis.kafka import make_admin, make_consumer
from services.chassis.lifecycle import Task
from services.chassis.metrics import Metrics
from services.chassis.own_feed import consume
from services.chassis.postgres import Database, Pool
from services.chassis.settings import Settings

Headers = Sequence[tuple[str, bytes | None]]


async def make_topic(
    settings: Settings, *, name: str | None = None, partitions: int = 1, config: dict[str, str] | None = None
) -> str:
    """A topic of this test's own."""
    name = name or f"t-{uuid.uuid4().hex[:12]}"
    admin = make_admin(settings)
    await admin.start()
    reply = await admin.create_topics([NewTopic(name, partitions, 1, topic_configs=config or {})])
    assert [code for _, code, _ in reply.topic_errors] == [0]
    await admin.close()
    return name


@asynccontextmanager
async def producing(settings: Settings, **options: Any) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.kafka_bootstrap, acks="all", max_request_size=8 << 20, **options
    )
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def produce(
    settings: Settings, topic: str, values: Sequence[bytes | None], *, partition: int = 0, headers: Headers = ()
) -> None:
    async with producing(settings) as producer:
        for value in values:
            await producer.send(topic, value, key=b"k", partition=partition, headers=list(headers))
        await producer.flush()


async def read_all(settings: Settings, topic: str, count: int, *, seconds: float = 90) -> list[ConsumerRecord]:
    """The first `count` records of a topic's first partitions, in the order of arrival per partition."""
    consumer: AIOKafkaConsumer = make_consumer(settings, group=None, client="test")
    await consumer.start()
    try:
        parts = [
            TopicPartition(topic, p)
            for p in sorted(consumer.partitions_for_topic(topic) or await _known(consumer, topic))
        ]
        consumer.assign(parts)
        await consumer.seek_to_beginning(*parts)
        found: list[ConsumerRecord] = []
        async with asyncio.timeout(seconds):
            while len(found) < count:
                for records in (await consumer.getmany(timeout_ms=100)).values():
                    found += records
        return found
    finally:
        await consumer.stop()


async def _known(consumer: AIOKafkaConsumer, topic: str) -> set[int]:
    await consumer._client.force_metadata_update()
    await consumer.topics()
    return consumer._client.cluster.partitions_for_topic(topic) or {0}


def numbered(first: int, last: int) -> list[bytes]:
    return [b"%d" % n for n in range(first, last + 1)]


def record(
    topic: str, offset: int, value: bytes | None, *, key: bytes = b"k", partition: int = 0, headers: Headers = ()
) -> ConsumerRecord:
    return ConsumerRecord(topic, partition, offset, 0, 0, key, value, None, 1, len(value or b""), tuple(headers))


def understand(record: ConsumerRecord) -> bytes | None:
    """Tombstones mean nothing, `bad...` is poison, and all else is its own meaning."""
    if record.value is None:
        return None
    if record.value.startswith(b"bad"):
        raise Poison("bad_json", "no JSON text")
    return bytes(record.value)


@dataclass
class Effects:
    """Effects inside the transaction: one row for each value applied, in order. Some values make it fail."""

    fail: Callable[[list[bytes]], Exception | None] = lambda _: None
    calls: list[list[bytes]] = field(default_factory=list)
    before: Callable[[], Awaitable[None]] | None = None

    async def __call__(self, connection: Database, values: list[bytes]) -> None:
        self.calls.append(values)
        await connection.executemany("INSERT INTO effect (value) VALUES ($1)", [(v,) for v in values])
        if self.before is not None:
            await self.before()
        if (error := self.fail(values)) is not None:
            raise error


async def make_effects(pool: Pool) -> None:
    async with pool.acquire() as connection:
        await connection.execute("CREATE TABLE effect (n bigint GENERATED ALWAYS AS IDENTITY, value bytea NOT NULL)")


async def effects_of(pool: Pool) -> list[bytes]:
    return [r["value"] for r in await pool.fetch("SELECT value FROM effect ORDER BY n")]


def make_fence(pool: Pool, topic: str, apply: Effects, *, group: str | None = None) -> Fence[bytes]:
    return Fence(
        pool=pool,
        service="notifier",
        group=group or f"g-{topic}",
        decode=understand,
        apply=apply,
        dead_letter_topics={topic: f"{topic}.dlq"},
        metrics=Metrics(),
    )


async def begin(pool: Pool, topic: str, *, partition: int = 0, at: int = 0) -> TopicPartition:
    """Progress as a reader would have made it, for tests that hand batches to a fence themselves."""
    await pool.execute(
        "INSERT INTO progress (topic, part, cluster_id, topic_id, next) VALUES ($1, $2, 'c', $3, $4)",
        topic,
        partition,
        uuid.uuid4(),
        at,
    )
    return TopicPartition(topic, partition)


async def progress_of(pool: Pool, topic: str, partition: int = 0) -> int | None:
    at: int | None = await pool.fetchval("SELECT next FROM progress WHERE topic = $1 AND part = $2", topic, partition)
    return at


async def letters_of(pool: Pool) -> list[Any]:
    return await pool.fetch("SELECT * FROM outbox WHERE raw_headers IS NOT NULL ORDER BY id")


def own_loop(reader: Reader[bytes], _: Settings, *, max_records: int = 50) -> Task:
    async def run(stop: asyncio.Event) -> None:
        await consume(reader, stop, max_records=max_records)

    return run


def faststream(reader: Reader[bytes], settings: Settings, *, max_records: int = 50) -> Task:
    return carry(reader, settings, max_records=max_records)


@asynccontextmanager
async def reading(reader: Reader[bytes], task: Task) -> AsyncIterator[asyncio.Event]:
    """The feed and its watch, as in a service: the first to fail ends both, and its error comes out."""
    stop = asyncio.Event()

    async def guarded(work: Task) -> None:
        try:
            await work(stop)
        finally:
            stop.set()

    with kafka_work_ended():
        work = [asyncio.create_task(guarded(task)), asyncio.create_task(guarded(reader.watch))]
        try:
            yield stop
        finally:
            stop.set()
            outcomes = await asyncio.gather(*work, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome


_before = list[set[asyncio.Task[Any]]]()


@contextmanager
def kafka_work_ended() -> Iterator[None]:
    """What Kafka clients began inside does not outlive it; the clients of one around it are at work until that ends.

    Without a broker a client cannot be stopped properly; in a service the process ends, here the loop goes on.
    """
    _before.append(kafka_work())
    try:
        yield
    finally:
        before = _before.pop()
        if not _before:
            for left in kafka_work() - before:
                left.cancel()


def kafka_work() -> set[asyncio.Task[Any]]:
    """What Kafka clients of this loop are still at."""
    return {t for t in asyncio.all_tasks() if "aiokafka" in _file_of(t.get_coro())}


def _file_of(coroutine: Any) -> str:
    return str(coroutine.cr_code.co_filename)


async def until(
    holds: Callable[[], Awaitable[bool]], stop: asyncio.Event | None = None, *, seconds: float = 90
) -> None:
    """Wait for something to become true; end early when the feed ended."""
    async with asyncio.timeout(seconds):
        while not await holds():
            if stop is not None and stop.is_set():
                return
            await asyncio.sleep(0.03)
