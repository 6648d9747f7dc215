"""Reading dead-letter topics to their end, sending letters back to where they came from, and dropping them."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin.records_to_delete import RecordsToDelete

from schemas.topics import CARDS
from services.chassis.deadletter import MARK
from services.chassis.failures import MustStop
from services.chassis.kafka import make_admin, make_consumer, make_producer, start_with_patience
from services.chassis.settings import Settings
from services.chassis.topic_identity import topic_partitions


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter: the untouched record, and what was told about it."""

    record: ConsumerRecord
    told: dict[str, str]


GivingUp = Callable[[list[Letter], list[Letter]], Awaitable[None]]
"""Told which letters are about to be dropped, and which are left."""


async def read_letters(settings: Settings, topic: str) -> list[Letter]:
    """All dead letters of a topic, oldest first.

    Raises:
        MustStop: the topic has none, or Kafka cannot be reached.
    """
    parts = await topic_partitions(settings, _dead_letter_topic(topic))
    consumer = make_consumer(settings, group=None, client="kvittera-dlq")
    await start_with_patience(consumer.start, settings, "the dead-letter reader", close=consumer.stop)
    try:
        records = await _read_to_end(consumer, parts)
    finally:
        await consumer.stop()
    return [Letter(r, _told(r)) for r in sorted(records, key=lambda r: (r.timestamp, r.partition, r.offset))]


async def replay_letters(settings: Settings, topic: str, *, reason: str | None, dry_run: bool) -> int:
    """Send letters to their topic again, without our headers, each record once. Returns how many.

    Raises:
        MustStop: as `read_letters`.
    """
    letters = [x for x in await read_letters(settings, topic) if reason is None or x.told["reason"] == reason]
    # A letter that was replayed and failed again is there twice; sending both would double it each time.
    records = list({(x.record.key, x.record.value, _own_headers(x.record)): x.record for x in letters}.values())
    if dry_run or not records:
        return len(records)
    # Compressed, since what came so may be larger than the topic takes otherwise.
    producer = make_producer(settings, client="kvittera-dlq", compression_type="gzip")
    await start_with_patience(producer.start, settings, "the dead-letter replay", close=producer.stop)
    try:
        for r in records:
            async with asyncio.timeout(30):
                await producer.send_and_wait(topic, r.value, key=r.key, headers=list(_own_headers(r)))
    finally:
        await producer.stop()
    return len(records)


async def drop_letters(
    settings: Settings, topic: str, *, before: datetime, dry_run: bool, giving_up: GivingUp | None = None
) -> int:
    """Drop the letters that were put aside before a moment, for good. Returns how many.

    What fails in `giving_up` or after it leaves the letters there, to be dropped again or replayed.

    Raises:
        MustStop: as `read_letters`.
    """
    letters = await read_letters(settings, topic)
    # Kafka drops from the oldest on, and letters are appended in the order of their moments.
    old = [x.record for x in letters if x.record.timestamp < before.timestamp() * 1000]
    if dry_run or not old:
        return len(old)
    if giving_up is not None:
        await giving_up(letters[: len(old)], letters[len(old) :])
    ends = {TopicPartition(r.topic, r.partition): r.offset + 1 for r in sorted(old, key=lambda r: r.offset)}
    admin = make_admin(settings)
    await start_with_patience(admin.start, settings, "the dropping of dead letters", close=admin.close)
    try:
        await admin.delete_records({p: RecordsToDelete(before_offset=end) for p, end in ends.items()})
    finally:
        await admin.close()
    return len(old)


def _own_headers(record: ConsumerRecord) -> tuple[tuple[str, bytes | None], ...]:
    return tuple((name, value) for name, value in record.headers if not name.startswith(MARK))


def topics_with_dead_letters() -> list[str]:
    """The topics whose bad records are put aside."""
    return [card.name for card in CARDS.values() if card.dead_letter]


def _dead_letter_topic(topic: str) -> str:
    card = CARDS.get(topic)
    if card is None or card.dead_letter is None:
        raise MustStop(f"{topic} has no dead letters; topics that have: {', '.join(topics_with_dead_letters())}")
    return card.dead_letter


def _told(record: ConsumerRecord) -> dict[str, str]:
    told = dict.fromkeys(("reason", "detail", "topic", "partition", "offset", "at", "service"), "?")
    return told | {n[len(MARK) :]: v.decode(errors="replace") for n, v in record.headers if n.startswith(MARK) and v}


async def _read_to_end(consumer: AIOKafkaConsumer, parts: list[TopicPartition]) -> list[ConsumerRecord]:
    consumer.assign(parts)
    await consumer.seek_to_beginning(*parts)
    ends = await consumer.end_offsets(parts)
    found: list[ConsumerRecord] = []
    while any([await consumer.position(p) < ends[p] for p in parts]):
        for records in (await consumer.getmany(timeout_ms=500)).values():
            found += records
    return found
