"""What records mean: each by itself, or many as one where their reader can."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from aiokafka import ConsumerRecord, TopicPartition

from services.chassis.deadletter import DeadLetter
from services.chassis.failures import Poison

T = TypeVar("T")
Decode = Callable[[ConsumerRecord], T | None]
"""A record's meaning, or None where there is nothing to do (a tombstone). Raises Poison."""
Together = Callable[[Sequence[ConsumerRecord]], T | None]
"""What some records of one topic mean as one, or None where each must be looked at by itself."""
Condemned = Mapping[tuple[TopicPartition, int], DeadLetter]
_AT_ONCE = 512
"""As many as the processor's cache holds with all that is made of them."""


@dataclass(slots=True)
class Meanings(Generic[T]):
    """What the records mean, those that mean nothing right, and how many of each topic call for nothing."""

    meant: list[T] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    empty: Counter[str] = field(default_factory=Counter)


def understood(
    fresh: Mapping[TopicPartition, Sequence[ConsumerRecord]],
    condemned: Condemned,
    decode: Decode[T],
    together: Together[T] | None,
) -> Meanings[T]:
    """Read records by partition, each in its order; the condemned are not read again."""
    found: Meanings[T] = Meanings()
    for partition, some in _some_at_once(fresh):
        _understand_some(partition, some, condemned, decode, together, found)
    return found


async def understood_ahead(
    fresh: Mapping[TopicPartition, Sequence[ConsumerRecord]], decode: Decode[T], together: Together[T] | None
) -> Meanings[T]:
    """The same, while others go on."""
    found: Meanings[T] = Meanings()
    for partition, some in _some_at_once(fresh):
        _understand_some(partition, some, {}, decode, together, found)
        await asyncio.sleep(0)
    return found


def _some_at_once(
    fresh: Mapping[TopicPartition, Sequence[ConsumerRecord]],
) -> Iterator[tuple[TopicPartition, Sequence[ConsumerRecord]]]:
    for partition, records in fresh.items():
        for start in range(0, len(records), _AT_ONCE):
            yield partition, records[start : start + _AT_ONCE]


def _understand_some(
    partition: TopicPartition,
    records: Sequence[ConsumerRecord],
    condemned: Condemned,
    decode: Decode[T],
    together: Together[T] | None,
    found: Meanings[T],
) -> None:
    as_one = together(records) if together is not None and not condemned else None
    if as_one is not None:
        found.meant.append(as_one)
        return
    for record in records:
        _understand(record, condemned.get((partition, record.offset)), decode, found)


def _understand(record: ConsumerRecord, letter: DeadLetter | None, decode: Decode[T], found: Meanings[T]) -> None:
    if letter is not None:
        found.dead.append(letter)
        return
    try:
        value = decode(record)
    except Poison as poison:
        found.dead.append(DeadLetter(record, poison.reason, poison.detail))
    else:
        if value is None:
            found.empty[record.topic] += 1
        else:
            found.meant.append(value)
