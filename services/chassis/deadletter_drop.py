"""Dropping dead letters for good, from the oldest to a moment."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.admin.records_to_delete import RecordsToDelete

from services.chassis.deadletter_store import dead_letter_topic, letters_of
from services.chassis.failures import MustStop
from services.chassis.kafka import make_admin, make_client, start_with_patience
from services.chassis.settings import Settings
from services.chassis.topic_identity import allowed_operations

_DELETE: Final = 1 << 6
"""By the number of Kafka's `AclOperation`."""


@dataclass(frozen=True, slots=True)
class Dropping:
    """Letters that are about to be dropped, up to an offset of each partition, beside those that are left."""

    settings: Settings
    topic: str
    ends: dict[TopicPartition, int]

    async def values(self) -> AsyncIterator[list[tuple[bytes | None, bool]]]:
        """The values of all letters, and of each whether it goes; read now, in batches."""
        async with letters_of(self.settings, self.topic) as letters:
            async for batch in letters.batches():
                yield [(x.record.value, self._goes(x.record)) for x in batch]

    def _goes(self, record: ConsumerRecord) -> bool:
        offset: int = record.offset
        return offset < self.ends.get(TopicPartition(record.topic, record.partition), 0)


async def drop_letters(
    settings: Settings,
    topic: str,
    *,
    before: datetime,
    dry_run: bool,
    agree: Callable[[int], None] = lambda _: None,
    giving_up: Callable[[Dropping], Awaitable[None]] | None = None,
) -> int:
    """Drop the letters that were put aside before a moment, for good. Returns how many.

    `agree` is told how many it will be, and may raise. What fails in `giving_up` or after it leaves the letters
    there, to be dropped again or replayed.

    Raises:
        MustStop: as `letters_of`, or this account may not drop them.
    """
    if not dry_run:
        await _check_right(settings, dead_letter_topic(topic))
    count, ends = await _older(settings, topic, before)
    if dry_run or not count:
        return count
    agree(count)
    if giving_up is not None:
        await giving_up(Dropping(settings, topic, ends))
    admin = make_admin(settings)
    await start_with_patience(admin.start, settings, "the dropping of dead letters", close=admin.close)
    try:
        await admin.delete_records({p: RecordsToDelete(before_offset=end) for p, end in ends.items()})
    finally:
        await admin.close()
    return count


async def _older(settings: Settings, topic: str, before: datetime) -> tuple[int, dict[TopicPartition, int]]:
    """How many letters lie before the first that is not older, and where they end: Kafka drops from the oldest on."""
    count, ends, over = 0, dict[TopicPartition, int](), set[TopicPartition]()
    async with letters_of(settings, topic) as letters:
        async for batch in letters.batches():
            for r in (x.record for x in batch):
                place = TopicPartition(r.topic, r.partition)
                if r.timestamp >= before.timestamp() * 1000:
                    over.add(place)
                elif place not in over:
                    count, ends[place] = count + 1, r.offset + 1
    return count, ends


async def _check_right(settings: Settings, dead: str) -> None:
    """Before anything is given up: the services do without this right, so that their account cannot delete."""
    client = make_client(settings)
    await start_with_patience(client.bootstrap, settings, "the dropping of dead letters", close=client.close)
    try:
        allowed = await allowed_operations(client, [dead])
    finally:
        await client.close()
    if dead in allowed and not allowed[dead] & _DELETE:
        raise MustStop(
            f"this account may not drop records of {dead}: grant it Delete on that topic, or run this as an account"
            " that has it (docs/how-to/connect-your-kafka.md); nothing was dropped"
        )
