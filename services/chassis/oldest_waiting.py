"""How long the oldest record has waited that nobody has applied yet, as Kafka's own copy of it tells."""

import time
from collections.abc import Mapping
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

_READ_SECONDS: Final = 3.0


async def oldest_waiting(
    consumer: AIOKafkaConsumer, positions: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
) -> float | None:
    """When the oldest of the first records at or behind these positions was written, in seconds since 1970.

    None where no record stands there: only marks of transactions, or nothing. The consumer must be in no group.

    Raises:
        TimeoutError: Kafka has records that it does not hand over within three seconds.
    """
    unread = {part for part, at in positions.items() if at < ends[part]}
    if not unread:
        return None
    consumer.assign(list(unread))
    for part in unread:
        consumer.seek(part, positions[part])
    written: list[float] = []
    until = time.monotonic() + _READ_SECONDS
    while unread:
        if time.monotonic() > until:
            raise TimeoutError(f"{len(unread)} partitions were not read")
        for part, records in (await consumer.getmany(*unread, timeout_ms=200)).items():
            written.append(records[0].timestamp / 1000)
            unread.discard(part)
        # Over marks of transactions the consumer steps without handing anything over.
        unread -= {part for part in unread if await consumer.position(part) >= ends[part]}
    return min(written, default=None)
