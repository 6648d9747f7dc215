"""What systems have published: topics made anew, and read back as a reader of committed records sees them."""

import asyncio
from collections.abc import Callable
from functools import lru_cache

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import NewTopic
from aiokafka.errors import UnknownTopicOrPartitionError

from schemas.satisfaction import Window
from services.aggregator.counting.windows import window_index
from services.chassis.kafka import make_admin, make_consumer
from services.chassis.settings import Settings
from services.chassis.topic_identity import topic_partitions
from tests.benchmarks.peers.truth import COUNTERS, WINDOWS, Cells, cell_key

Reading = Callable[[bytes, bytes], tuple[bytes, tuple[int, ...]]]
"""A published record as the name of its cell and its counters."""
PARTITIONS = 4


def read_binary(key: bytes, value: bytes) -> tuple[bytes, tuple[int, ...]]:
    """The peers' form: the input partition, the cell; seven counters of four bytes. A reader adds the partitions."""
    counters = (int.from_bytes(value[4 * n : 4 * n + 4], "big", signed=True) for n in range(COUNTERS))
    return key[1:], tuple(counters)


def read_ours(key: bytes, value: bytes) -> tuple[bytes, tuple[int, ...]]:
    """Our form: `satisfaction.cells.v1`."""
    cut, name, window, start = key.decode().split("|")
    cell = orjson.loads(value)
    counters = (*cell["scores"], cell["commented"], cell["contested"])
    return cell_key(f"{cut}|{name}".encode(), WINDOWS.index(window), _index(window, start)), counters


@lru_cache(100_000)
def _index(window: str, start: str) -> int:
    return window_index(Window(window), start)


async def make_topic(settings: Settings, name: str, **config: str) -> None:
    """An empty topic; one of that name is deleted first."""
    admin = make_admin(settings)
    await admin.start()
    try:
        if name in await admin.list_topics():
            await admin.delete_topics([name])
            while name in await admin.list_topics():
                await asyncio.sleep(0.1)
        await admin.create_topics([NewTopic(name, PARTITIONS, 1, topic_configs=config)])
    except UnknownTopicOrPartitionError:
        await admin.create_topics([NewTopic(name, PARTITIONS, 1, topic_configs=config)])
    finally:
        await admin.close()


async def sent_records(consumer: AIOKafkaConsumer, parts: list[TopicPartition]) -> int:
    """How far the committed records of a topic reach."""
    ends: dict[TopicPartition, int] = await consumer.end_offsets(parts)
    return sum(ends.values())


async def read_cells(settings: Settings, topic: str, reading: Reading) -> tuple[int, Cells]:
    """How many committed records a topic holds, and the counters of each cell by its last records."""
    consumer = make_consumer(settings, group=None, client="bench")
    await consumer.start()
    try:
        sent, last = await _last_records(consumer, await topic_partitions(settings, topic))
    finally:
        await consumer.stop()
    cells: dict[bytes, tuple[int, ...]] = {}
    for key, value in last.items():
        cell, counters = reading(key, value)
        others = cells.get(cell)
        cells[cell] = counters if others is None else tuple(map(sum, zip(others, counters, strict=True)))
    return sent, cells


async def _last_records(consumer: AIOKafkaConsumer, parts: list[TopicPartition]) -> tuple[int, dict[bytes, bytes]]:
    consumer.assign(parts)
    await consumer.seek_to_beginning(*parts)
    ends = await consumer.end_offsets(parts)
    sent = 0
    last: dict[bytes, bytes] = {}
    while any([await consumer.position(p) < ends[p] for p in parts]):
        for records in (await consumer.getmany(timeout_ms=200, max_records=20_000)).values():
            sent += len(records)
            last.update((r.key, r.value) for r in records)
    return sent, last
