"""Dead-letter topics: reading them a batch at a time, and sending letters back to where they came from.

After a release upstream that breaks the contract there are millions: no command holds them all, or grows with them.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final
from zlib import crc32

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from schemas.topics import CARDS
from services.chassis.deadletter import MARK
from services.chassis.failures import MustStop
from services.chassis.kafka import make_consumer, make_producer, start_with_patience
from services.chassis.record_batches import Record, send_all
from services.chassis.settings import Settings
from services.chassis.topic_identity import topic_partitions

_AT_ONCE: Final = 1_000
"""Letters of one batch, of some 3 kB each in memory."""
_REMEMBERED: Final = 500_000
"""Digests of letters that a replay holds, some 100 bytes each."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter: the untouched record, and what was told about it."""

    record: ConsumerRecord
    told: dict[str, str]

    @property
    def own_headers(self) -> tuple[tuple[str, bytes | None], ...]:
        """The record's headers as they were before it was put aside."""
        return tuple((name, value) for name, value in self.record.headers if not name.startswith(MARK))

    @property
    def is_whole(self) -> bool:
        """Whether it has all of its record; what is sent without its value would be a tombstone."""
        return "left_out" not in self.told


@dataclass(frozen=True, slots=True)
class Letters:
    """The dead letters that a topic held when it was looked at."""

    _consumer: AIOKafkaConsumer
    _begins: dict[TopicPartition, int]
    _ends: dict[TopicPartition, int]

    def __len__(self) -> int:
        return sum(end - self._begins[p] for p, end in self._ends.items())

    async def batches(self, newest: int | None = None) -> AsyncIterator[list[Letter]]:
        """All of them, or the newest of each partition; of each partition the oldest first. May be asked for again."""
        for p, end in self._ends.items():
            self._consumer.seek(p, self._begins[p] if newest is None else max(self._begins[p], end - newest))
        while any([await self._consumer.position(p) < end for p, end in self._ends.items()]):
            for p, records in (await self._consumer.getmany(timeout_ms=500, max_records=_AT_ONCE)).items():
                yield [Letter(r, _told(r)) for r in records if r.offset < self._ends[p]]


@asynccontextmanager
async def letters_of(settings: Settings, topic: str) -> AsyncIterator[Letters]:
    """The dead letters of a topic.

    Raises:
        MustStop: the topic has none, or Kafka cannot be reached.
    """
    parts = await topic_partitions(settings, dead_letter_topic(topic))
    consumer = make_consumer(settings, group=None, client="kvittera-dlq")
    await start_with_patience(consumer.start, settings, "the dead-letter reader", close=consumer.stop)
    try:
        consumer.assign(parts)
        yield Letters(consumer, await consumer.beginning_offsets(parts), await consumer.end_offsets(parts))
    finally:
        await consumer.stop()


async def read_letters(settings: Settings, topic: str, *, newest: int | None = None) -> list[Letter]:
    """Dead letters of a topic, oldest first: so many of the newest, or all where they are known to be few.

    Raises:
        MustStop: as `letters_of`.
    """
    async with letters_of(settings, topic) as letters:
        kept = [x async for batch in letters.batches(newest) for x in batch]
    found = sorted(kept, key=lambda x: (x.record.timestamp, x.record.partition, x.record.offset))
    return found if newest is None else found[-newest:]


async def count_letters(settings: Settings, topic: str) -> Counter[tuple[str, str]]:
    """How many dead letters a topic has, by reason and detail.

    Raises:
        MustStop: as `letters_of`.
    """
    counted: Counter[tuple[str, str]] = Counter()
    async with letters_of(settings, topic) as letters:
        async for batch in letters.batches():
            counted.update((x.told["reason"], x.told["detail"]) for x in batch)
    return counted


async def replay_letters(settings: Settings, topic: str, *, reason: str | None, dry_run: bool) -> int:
    """Send whole letters to their topic again, without our headers, each record once. Returns how many.

    Raises:
        MustStop: as `letters_of`.
        KafkaError, TimeoutError: Kafka did not take all; replaying again does no harm.
    """
    sent = 0
    async with letters_of(settings, topic) as letters:
        if dry_run:
            return sum([len(batch) async for batch in _each_once(letters, reason)])
        # Compressed, since what came so may be larger than the topic takes otherwise.
        producer = make_producer(settings, client="kvittera-dlq", compression_type="gzip")
        await start_with_patience(producer.start, settings, "the dead-letter replay", close=producer.stop)
        try:
            async for batch in _each_once(letters, reason):
                async with asyncio.timeout(30):
                    refusals = await send_all(producer, [_as_it_was(topic, x) for x in batch])
                for refusal in refusals:
                    if refusal is not None:
                        raise refusal
                sent += len(batch)
        finally:
            await producer.stop()
    return sent


def _as_it_was(topic: str, letter: Letter) -> Record:
    return Record(topic, letter.record.key, letter.record.value, list(letter.own_headers))


async def _each_once(letters: Letters, reason: str | None) -> AsyncIterator[list[Letter]]:
    """A letter that was replayed and failed again is there twice; sending both would double it each time.

    What is too much to be remembered is read in several turns, each about other keys: of a key the order stays.
    """
    turns = len(letters) // _REMEMBERED + 1
    for turn in range(turns):
        seen: set[bytes] = set()
        async for batch in letters.batches():
            yield [
                x
                for x in batch
                if x.is_whole
                and (reason is None or x.told["reason"] == reason)
                and crc32(x.record.key or x.record.value or b"") % turns == turn
                and _is_new(x, seen)
            ]


def _is_new(letter: Letter, seen: set[bytes]) -> bool:
    said = repr((letter.record.key, letter.record.value, letter.own_headers)).encode()
    before = len(seen)
    seen.add(blake2b(said, digest_size=16).digest())
    return len(seen) > before


def topics_with_dead_letters() -> list[str]:
    """The topics whose bad records are put aside."""
    return [card.name for card in CARDS.values() if card.dead_letter]


def dead_letter_topic(topic: str) -> str:
    """Where the bad records of a topic are put aside.

    Raises:
        MustStop: nowhere.
    """
    card = CARDS.get(topic)
    if card is None or card.dead_letter is None:
        raise MustStop(f"{topic} has no dead letters; topics that have: {', '.join(topics_with_dead_letters())}")
    return card.dead_letter


def _told(record: ConsumerRecord) -> dict[str, str]:
    told = dict.fromkeys(("reason", "detail", "topic", "partition", "offset", "at", "service"), "?")
    return told | {n[len(MARK) :]: v.decode(errors="replace") for n, v in record.headers if n.startswith(MARK) and v}
