"""What Kafka holds of topics now, and how much of it is not counted yet."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from aiokafka import TopicPartition

from schemas.topics import FEEDBACK_CASE
from services.aggregator.counting.reading import TOPICS
from services.aggregator.history.past import Positions, counted_up_to, reading_again
from services.chassis.pauses import pauses
from services.chassis.postgres import Database
from services.chassis.settings import Settings
from services.chassis.topic_identity import KnownTopics, TopicIdentity

TOPICS_OF_MONTHS: Final = (*TOPICS, FEEDBACK_CASE)
"""What the figures of a month come from: what is counted, and cases for its complaints."""


@dataclass(frozen=True, slots=True)
class Extent:
    """The records of a partition: from the offset `first` up to, and without, `end`."""

    first: int
    end: int


@dataclass(frozen=True, slots=True)
class KafkaHolds:
    """The topics and the records that Kafka has of them."""

    topics: Mapping[str, TopicIdentity]
    extents: Mapping[TopicPartition, Extent]


async def kafka_holds(settings: Settings, topics: Collection[str] = TOPICS_OF_MONTHS) -> KafkaHolds:
    """Ask the brokers now.

    Raises:
        MustStop: Kafka cannot be reached, or does not have a topic.
        KafkaError, TimeoutError, TryAgain: it went away meanwhile.
    """
    known = KnownTopics(settings, topics)
    async with reading_again(settings, "kvittera-months") as consumer:
        await known.learn()
        partitions = [p for topic in topics for p in known[topic].parts(topic)]
        firsts = await consumer.beginning_offsets(partitions)
        ends = await consumer.end_offsets(partitions)
    return KafkaHolds({t: known[t] for t in topics}, {p: Extent(firsts[p], ends[p]) for p in partitions})


def waiting(extents: Mapping[TopicPartition, Extent], counted: Positions) -> dict[str, int]:
    """How many records of each topic are not counted yet; topics of which all is counted are left out. Pure."""
    left: dict[str, int] = {}
    for partition, extent in extents.items():
        if (records := extent.end - max(extent.first, counted.get(partition, 0))) > 0:
            left[partition.topic] = left.get(partition.topic, 0) + records
    return left


async def wait_until_counted(
    connection: Database, extents: Mapping[TopicPartition, Extent], seconds: float
) -> Mapping[str, int]:
    """Give what Kafka holds so long to be counted. Returns what still waits, by topic."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + seconds
    for pause in pauses(first=0.1, longest=1):
        left = waiting(extents, await counted_up_to(connection, TOPICS_OF_MONTHS))
        if not left or clock() >= deadline:
            return left
        await asyncio.sleep(min(pause, max(0.0, deadline - clock())))
    raise AssertionError("pauses never end")
