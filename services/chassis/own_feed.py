"""Our own loop as the carrier of a subscription: for the hot path, where batches grow with what waits."""

import asyncio
import gc
from typing import TypeVar

import structlog
from aiokafka.errors import ConsumerStoppedError, KafkaError

from services.chassis.consumer import Reader
from services.chassis.kafka import FETCH_BYTES, make_consumer, start_with_patience, stop_in_time
from services.chassis.pauses import pause_or_stop

log = structlog.get_logger()
T = TypeVar("T")
_MANY = 10_000
"""A batch of so many records makes so many objects that each look for cycles among them costs."""
_YOUNG = 1


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
    behind = False
    try:
        if not await start_with_patience(consumer.start, reader.settings, reader.fence.group, stop=stop):
            return
        consumer.subscribe(reader.topics, listener=reader)
        while not stop.is_set():
            try:
                batch = await consumer.getmany(timeout_ms=wait_ms, max_records=max_records)
            except ConsumerStoppedError:
                return
            except KafkaError as error:
                log.warning("cannot read", action="retry", error=type(error).__name__)
                await pause_or_stop(1.0, stop)
                continue
            many = sum(map(len, batch.values())) >= _MANY
            if batch:
                await reader.take(batch)
            elif reader.failure is not None:
                raise reader.failure
            del batch
            behind = _look_for_cycles_between_batches(many=many, before=behind)
    finally:
        _look_for_cycles_between_batches(many=False, before=behind)
        reader.read_through(lambda: None)
        await stop_in_time(consumer.stop, 4, "consumer")


def _look_for_cycles_between_batches(*, many: bool, before: bool) -> bool:
    """While batches are large, look for cycles of young objects between them only: their own objects are in none."""
    if many:
        gc.disable()
        gc.collect(_YOUNG)
    elif before:
        gc.enable()
    return many
