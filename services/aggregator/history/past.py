"""What the topics still hold of what was counted: read from the first record up to given positions."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from services.aggregator.counting.reading import TOPICS
from services.chassis.kafka import make_consumer, start_with_patience, stop_in_time
from services.chassis.postgres import Database
from services.chassis.settings import Settings

_MOST_RECORDS = 20_000
Positions = Mapping[TopicPartition, int]
Batch = dict[TopicPartition, list[ConsumerRecord]]


async def counted_up_to(connection: Database, topics: Collection[str] = TOPICS) -> Positions:
    """Where counting stands: the next offset of each partition."""
    rows = await connection.fetch("SELECT topic, part, next FROM progress WHERE topic = ANY($1::text[])", [*topics])
    return {TopicPartition(r["topic"], r["part"]): r["next"] for r in rows}


@asynccontextmanager
async def reading_again(settings: Settings, client: str) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer in no group: nobody's place moves.

    Raises:
        MustStop: Kafka cannot be reached.
    """
    consumer = make_consumer(settings, group=None, client=client, max_partition_fetch_bytes=16 * 1024 * 1024)
    await start_with_patience(consumer.start, settings, "the replay", close=consumer.stop)
    try:
        yield consumer
    finally:
        await stop_in_time(consumer.stop, 2, "replay")


async def begin(consumer: AIOKafkaConsumer, partitions: Collection[TopicPartition]) -> Positions:
    """Go to the first record that Kafka still has of each partition. Returns where that is."""
    if not partitions:  # nothing was counted yet; without any the consumer would refuse to seek
        return {}
    consumer.assign([*partitions])
    await consumer.seek_to_beginning(*partitions)
    return {p: await consumer.position(p) for p in partitions}


async def batches(consumer: AIOKafkaConsumer, targets: Positions) -> AsyncIterator[Batch]:
    """Records from where the consumer stands to the targets; what lies behind them is read another time."""
    while True:
        behind = [p for p in targets if await consumer.position(p) < targets[p]]
        if not behind:
            return
        consumer.pause(*(p for p in targets if p not in behind))
        consumer.resume(*behind)
        batch: Batch = {}
        for partition, records in (await consumer.getmany(timeout_ms=500, max_records=_MOST_RECORDS)).items():
            within = [r for r in records if r.offset < targets[partition]]
            if len(within) < len(records):
                consumer.seek(partition, targets[partition])
            if within:
                batch[partition] = within
        if batch:
            yield batch
        await asyncio.sleep(0)
