"""Partitions without a reader are asked for once they were seen twice, and not again and again."""

import uuid
from types import SimpleNamespace
from typing import Any

from aiokafka import TopicPartition

from services.chassis.topic_identity import TopicIdentity
from services.chassis.unread_partitions import UnreadPartitions


class Consumer:
    """Counts how often it was made to join its group again, and whether it knew the newest partitions then."""

    def __init__(self) -> None:
        self.fresh = False
        self.joined: list[bool] = []
        self._client = SimpleNamespace(force_metadata_update=self._update)
        self._coordinator = SimpleNamespace(request_rejoin=lambda: self.joined.append(self.fresh))

    async def _update(self) -> None:
        self.fresh = True


class Pool:
    """Progress of the first partitions of a topic."""

    def __init__(self, begun: int) -> None:
        self.begun = begun

    async def fetch(self, _: str, topics: list[str]) -> list[dict[str, Any]]:
        return [{"topic": topics[0], "part": n} for n in range(self.begun)]


async def test_partitions_that_nobody_began_are_given_out_anew_once_seen_twice_and_again_after_a_while() -> None:
    moments, consumer, pool = [100.0], Consumer(), Pool(2)
    unread = UnreadPartitions(clock=lambda: moments[-1])

    async def look() -> list[bool]:
        await unread.look(pool, {"t": TopicIdentity("c", uuid.UUID(int=1), 3)}, consumer)  # type: ignore[arg-type]
        return consumer.joined

    assert await look() == []
    assert unread.found == {TopicPartition("t", 2)}
    assert await look() == [True]
    moments.append(129.0)
    assert await look() == [True]
    moments.append(130.0)
    assert await look() == [True, True]
    pool.begun = 3
    moments.append(200.0)
    assert await look() == [True, True]
    assert unread.found == frozenset()
