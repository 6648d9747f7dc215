"""Our own loop as the carrier of a subscription: for the hot path, where batches grow with what waits.

While a large batch is applied, PostgreSQL works; the next one is fetched and read meanwhile.
"""

import asyncio
import functools
import gc
from typing import Generic, TypeVar

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import ConsumerStoppedError, KafkaError

from services.chassis.batch_memory import give_back_memory
from services.chassis.consumer import Reader
from services.chassis.in_hand import InHand
from services.chassis.kafka import FETCH_BYTES, make_consumer, start_with_patience, stop_in_time
from services.chassis.pauses import pause_or_stop

log = structlog.get_logger()
T = TypeVar("T")
_MANY = 10_000
"""A batch of so many records makes so many objects that each look for cycles among them costs."""
_YOUNG, _SELDOM = 1, 16


async def consume(
    reader: Reader[T],
    stop: asyncio.Event,
    *,
    max_records: int,
    wait_ms: int = 100,
    fetch_wait_ms: int = 100,
    fetch_bytes: int = FETCH_BYTES,
) -> None:
    """Read, hand over, repeat; the batch grows by itself when records pile up.

    `fetch_wait_ms` is how long the broker may wait for records. While it waits for those of quiet partitions, aiokafka
    asks it for nothing of the busy ones that it has just read, so their next records wait as long. `fetch_bytes` is
    what it may send of each partition at once.

    Raises:
        MustStop: going on would lose something.
    """
    if not await reader.prepare(stop):
        return
    consumer = make_consumer(
        reader.settings,
        group=reader.fence.group,
        client=f"kvittera-{reader.fence.service}",
        group_instance_id=reader.member,
        fetch_max_wait_ms=fetch_wait_ms,
        max_partition_fetch_bytes=fetch_bytes,
    )
    reader.read_through(lambda: consumer)
    batches = _Batches(reader, consumer, wait_ms, max_records)
    large = _LargeBatches()
    try:
        if not await start_with_patience(consumer.start, reader.settings, reader.fence.group, stop=stop):
            return
        consumer.subscribe(reader.topics, listener=reader)
        while not stop.is_set():
            try:
                received = await batches.next()
            except ConsumerStoppedError:
                return
            except KafkaError as error:
                log.warning("cannot read", action="retry", error=type(error).__name__)
                await pause_or_stop(1.0, stop)
                continue
            many = len(received) >= _MANY
            if many:
                batches.read_ahead()
            if not received and reader.failure is not None:
                raise reader.failure
            await reader.take(received)
            del received
            large.between_batches(many=many)
    finally:
        large.end()
        await batches.close()
        reader.read_through(lambda: None)
        await stop_in_time(consumer.stop, 4, "consumer")


class _Batches(Generic[T]):
    """Batches as they come; the next one is fetched and read while a large one is applied."""

    def __init__(self, reader: Reader[T], consumer: AIOKafkaConsumer, wait_ms: int, max_records: int) -> None:
        self._reader = reader
        self._fetch = functools.partial(consumer.getmany, timeout_ms=wait_ms, max_records=max_records)
        self._ahead: asyncio.Task[InHand[T]] | None = None
        self._is_waited_for = False

    async def next(self) -> InHand[T]:
        """The next batch, which may be empty. Raises KafkaError."""
        if self._ahead is None:
            return self._reader.receive(await self._fetch())
        self._is_waited_for = True
        ahead, self._ahead = self._ahead, None
        return await ahead

    def read_ahead(self) -> None:
        """Begin with the next batch now. Of few records it would be smaller than if it waited for its turn."""
        self._is_waited_for = False
        self._ahead = asyncio.create_task(self._received_and_read())

    async def _received_and_read(self) -> InHand[T]:
        # Records are asked for when those before them are in hand, so the first look may find none.
        while not (batch := await self._fetch()) and not self._is_waited_for:
            pass
        received = self._reader.receive(batch)
        await self._reader.read_ahead(received)
        return received

    async def close(self) -> None:
        """Let go of what was read ahead: nothing of it was applied."""
        if self._ahead is not None:
            self._ahead.cancel()
            await asyncio.gather(self._ahead, return_exceptions=True)


class _LargeBatches:
    """While batches are large, whose objects are in no cycles, these are looked for seldom and between batches only."""

    def __init__(self) -> None:
        self._large = self._small = 0

    def between_batches(self, *, many: bool) -> None:
        """Call behind each batch."""
        if many:
            gc.disable()
            self._large, self._small = self._large + 1, 0
            if self._large % _SELDOM == 0:
                gc.collect(_YOUNG)
        elif self._large:
            gc.enable()
            self._small += 1
            if self._small == _SELDOM:  # not behind a lone small one: the next large one would take all of it again
                self._large = 0
                gc.collect(_YOUNG)
                give_back_memory()

    def end(self) -> None:
        """Call behind the last batch."""
        gc.enable()
