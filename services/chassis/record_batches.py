"""Many records to Kafka in few batches, at a fraction of the work of one `send` for each.

Records keep their order per partition; keys go to the partition where aiokafka and Java put them.
"""

import asyncio
import random
import struct
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    MessageSizeTooLargeError,
    OutOfOrderSequenceNumber,
    UnknownTopicOrPartitionError,
)
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import RecordMetadata

from services.chassis.kafka import MAX_REQUEST_BYTES, drop_topic, was_told

_ROOM = 64 * 1024  # in a request, for what Kafka adds
_MISSING_AFTER = 2.0  # seconds; a topic that was just made is known to every broker by then
MURMUR_SEED = 0x9747B28C
MURMUR_MIX = 0x5BD1E995
_WORD = 0xFFFFFFFF


class Record(NamedTuple):
    """One record to send; a tombstone has no value."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


class _Batch(NamedTuple):
    place: tuple[str, int]
    builder: BatchBuilder
    numbers: list[int]


async def send_all(producer: AIOKafkaProducer, records: Sequence[Record]) -> list[KafkaError | None]:
    """Send all records and wait for the broker; returns for each None, or why it is not in Kafka.

    A refused batch refuses every record in it, a topic that is deleted meanwhile all of its own.
    """
    outcomes: list[KafkaError | None] = [None] * len(records)
    by_topic: dict[str, list[_Batch]] = {}
    for batch in await _in_batches(producer, records, outcomes):
        by_topic.setdefault(batch.place[0], []).append(batch)
    replies = await asyncio.gather(
        *(
            deliver(producer, topic, [(batch.place[1], batch.builder) for batch in batches])
            for topic, batches in by_topic.items()
        )
    )
    for batches, told in zip(by_topic.values(), replies, strict=True):
        for batch, reply in zip(batches, told, strict=True):
            for number in batch.numbers if isinstance(reply, KafkaError) else ():
                outcomes[number] = reply
    return outcomes


async def _in_batches(
    producer: AIOKafkaProducer, records: Sequence[Record], outcomes: list[KafkaError | None]
) -> list[_Batch]:
    """Batches in the order in which each partition must get them; what cannot be sent at all gets its outcome."""
    topics = {r.topic for r in records}
    partitions = dict(zip(topics, await asyncio.gather(*(partitions_of(producer, t) for t in topics)), strict=True))
    batches: list[_Batch] = []
    filling: dict[tuple[str, int], _Batch] = {}
    for number, record in enumerate(records):
        known = partitions[record.topic]
        if isinstance(known, KafkaError):
            outcomes[number] = known
            continue
        place = record.topic, partition_of(record.key, known)
        batch = filling.get(place)
        if batch is None or not _fits(batch, record):
            batch = _Batch(place, producer.create_batch(), [])
            _fits(batch, record)  # the first record always does
            if batch.builder.size() > MAX_REQUEST_BYTES - _ROOM:
                outcomes[number] = MessageSizeTooLargeError("larger than any request may be")
                continue
            filling[place] = batch
            batches.append(batch)
        batch.numbers.append(number)
    return batches


async def partitions_of(producer: AIOKafkaProducer, topic: str) -> list[int] | KafkaError:
    """The partitions of a topic, in order, or why there are none.

    aiokafka itself would wait for a missing topic as long as for an answer, and hold up all others.
    """
    try:
        async with asyncio.timeout(_MISSING_AFTER):
            return sorted(await producer.partitions_for(topic))
    except KafkaError as error:  # a topic that is missing must not hold up the others
        return error
    except TimeoutError:
        # Only a broker that answers can say that there is no such topic.
        answered = await producer.client.force_metadata_update()
        return UnknownTopicOrPartitionError(topic) if answered else KafkaConnectionError("no broker tells of topics")


async def has_topic(producer: AIOKafkaProducer, topic: str) -> bool:
    """Whether the broker knows a topic now; it is asked once, and not waited for."""
    producer.client.add_topic(topic)
    await producer.client.force_metadata_update()
    return producer.client.cluster.partitions_for_topic(topic) is not None


def _fits(batch: _Batch, record: Record) -> bool:
    added = batch.builder.append(timestamp=None, key=record.key, value=record.value, headers=record.headers)
    return added is not None


async def deliver(
    producer: AIOKafkaProducer, topic: str, batches: Sequence[tuple[int, BatchBuilder]]
) -> Sequence[RecordMetadata | KafkaError]:
    """Send batches, each to its partition, in their order; returns for each where it is in Kafka, or why it is not.

    aiokafka would try a topic that was deleted as long as a broker that is away, and everything else would wait.
    """
    work = asyncio.create_task(_hand_over(producer, topic, batches))
    try:
        while not (await asyncio.wait({work}, timeout=_MISSING_AFTER))[0]:
            if not await has_topic(producer, topic):
                lost = UnknownTopicOrPartitionError(topic)
                drop_topic(producer, lost, topic)
                return [lost] * len(batches)
        replies = work.result()
        _count_again(producer, topic, batches, replies)
        return replies
    finally:
        work.cancel()


def _count_again(
    producer: AIOKafkaProducer,
    topic: str,
    batches: Sequence[tuple[int, BatchBuilder]],
    replies: Sequence[RecordMetadata | KafkaError],
) -> None:
    """Take back the numbers of records that Kafka refused for their size.

    aiokafka counts them as sent, and all that this producer sends to the partition would be out of order for ever.
    """
    refused: Counter[int] = Counter()
    for (partition, batch), reply in zip(batches, replies, strict=True):
        if is_too_large(reply) or (refused[partition] and isinstance(reply, OutOfOrderSequenceNumber)):
            refused[partition] += batch.record_count()
        else:
            refused[partition] = 0  # what Kafka took last, it counts from
    if (+refused) and (manager := producer._txn_manager) is not None:  # noqa: SLF001
        for partition, records in refused.items():
            manager._sequence_numbers[TopicPartition(topic, partition)] -= records  # noqa: SLF001


def is_too_large(outcome: object) -> bool:
    """Whether Kafka refused a batch, or we a record, for its size."""
    return isinstance(outcome, MessageSizeTooLargeError)


async def _hand_over(
    producer: AIOKafkaProducer, topic: str, batches: Sequence[tuple[int, BatchBuilder]]
) -> Sequence[RecordMetadata | KafkaError]:
    sent: list[asyncio.Future[RecordMetadata]] = []
    for partition, batch in batches:
        batch.close()  # a closed batch does not linger
        sent.append(await producer.send_batch(batch, topic, partition=partition))
        sent[-1].add_done_callback(was_told)
    if sent:
        await asyncio.wait(sent)
    return [_outcome(future) for future in sent]


def _outcome(future: asyncio.Future[RecordMetadata]) -> RecordMetadata | KafkaError:
    error = future.exception()
    return error if isinstance(error, KafkaError) else future.result()


def partition_of(key: bytes | None, partitions: Sequence[int]) -> int:
    """The partition of a key among all of its topic, in order; without a key any will do."""
    if key is None:
        return random.choice(partitions)  # noqa: S311  nothing secret
    return partitions[(murmur2(key) & 0x7FFFFFFF) % len(partitions)]


def murmur2(data: bytes) -> int:
    """Kafka's hash of keys (org.apache.kafka.common.utils.Utils.murmur2), three times as quick as aiokafka's."""
    length = len(data)
    h = MURMUR_SEED ^ length
    for word in struct.unpack_from(f"<{length >> 2}I", data):
        k = word * MURMUR_MIX & _WORD
        h = (h * MURMUR_MIX & _WORD) ^ ((k ^ k >> 24) * MURMUR_MIX & _WORD)
    if tail := data[length & ~3 :]:
        h = (h ^ int.from_bytes(tail, "little")) * MURMUR_MIX & _WORD
    h = (h ^ h >> 13) * MURMUR_MIX & _WORD
    return h ^ h >> 15
