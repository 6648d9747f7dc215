"""Whether a stretch of a partition holds anything that a reader is handed, or only what transactions leave behind.

A transaction ends in a marker, which takes an offset and is handed to nobody; nor is what an aborted one wrote.
"""

from collections.abc import Mapping

from aiokafka import TopicPartition

from services.chassis.kafka import make_consumer, stop_in_time
from services.chassis.settings import Settings

Stretch = tuple[int, int]
"""The first offset, and the one behind the last."""
_STOP_WITHIN = 1.0
_ENOUGH_BYTES = 64 * 1024


async def with_records(settings: Settings, stretches: Mapping[TopicPartition, Stretch]) -> set[TopicPartition]:
    """The partitions whose stretch holds a record for readers.

    Raises:
        KafkaError, OSError: Kafka does not tell.
    """
    consumer = make_consumer(settings, group=None, client="kvittera-stretches", max_partition_fetch_bytes=_ENOUGH_BYTES)
    try:
        await consumer.start()
        consumer.assign([*stretches])
        for partition, (begin, _) in stretches.items():
            consumer.seek(partition, begin)
        found: set[TopicPartition] = set()
        while unread := [p for p, (_, end) in stretches.items() if p not in found and await consumer.position(p) < end]:
            fetched = await consumer.getmany(*unread, timeout_ms=100, max_records=1)
            found |= {p for p, records in fetched.items() if records and records[0].offset < stretches[p][1]}
        return found
    finally:
        await stop_in_time(consumer.stop, _STOP_WITHIN, "look at a stretch")
