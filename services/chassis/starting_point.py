"""Where a partition is read on: by our own progress, kept with the cluster and the topic that it was made on."""

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition

from services.chassis.failures import MustStop
from services.chassis.postgres import named_sql
from services.chassis.topic_identity import TopicIdentity


async def starting_point(
    pool: asyncpg.Pool, consumer: AIOKafkaConsumer, partition: TopicPartition, identity: TopicIdentity
) -> int:
    """The next offset to read; a partition without progress begins at its first record, and that is kept.

    Raises:
        MustStop: progress is of another topic of the same name, or Kafka has fewer records than were read.
    """
    sql = named_sql("services.chassis", "progress.sql")
    async with pool.acquire() as connection:
        kept = await connection.fetchrow(sql["read_partition"], partition.topic, partition.partition)
        if kept is None:
            first = (await consumer.beginning_offsets([partition]))[partition]
            place = (partition.topic, partition.partition, identity.cluster_id, identity.topic_id, first)
            await connection.execute(sql["begin_partition"], *place)
            kept = await connection.fetchrow(sql["read_partition"], partition.topic, partition.partition)
    assert kept is not None
    if (kept["cluster_id"], kept["topic_id"]) != (identity.cluster_id, identity.topic_id):
        raise MustStop(
            f"{partition.topic} is not the topic that progress is kept for (it was deleted and made again, or this"
            " is another cluster); nothing was read. Delete its progress rows to read the new one from its start"
        )
    end: int = (await consumer.end_offsets([partition]))[partition]
    at: int = kept["next"]
    if at > end:
        raise MustStop(
            f"{partition.topic}/{partition.partition} ends at {end} but was read up to {at}: Kafka lost records;"
            " refill it with `kvittera republish`"
        )
    return at
