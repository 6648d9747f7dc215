"""Drawn records of the topics that the aggregator counts, in small batches as a reader brings them."""

from collections.abc import Iterator, Mapping
from typing import Any

from aiokafka import ConsumerRecord, TopicPartition

from schemas.topics import CARDS
from services.aggregator.counting.answer_columns import Block, blocks_reader
from services.aggregator.counting.reading import GROUP, TOPICS, Counted, reader
from services.aggregator.counting.units import Units
from services.aggregator.handlers import CountBatch
from services.chassis.fence import Fence
from services.chassis.metrics import Metrics
from services.chassis.postgres import Pool
from tests.counted_topics import records
from tests.harness import record

Batch = dict[TopicPartition, list[ConsumerRecord]]
A_BATCH = 6


def counting(pool: Any) -> Fence[Counted | Block]:
    """The fence that counts, as the service makes it, without its metrics."""
    units = Units(pool, ())
    return Fence(
        pool=pool,
        service="aggregator",
        group=GROUP,
        decode=reader(),
        together=blocks_reader(units),
        apply=CountBatch(units, Metrics(), lambda _, __: None),
        dead_letter_topics={t: str(CARDS[t].dead_letter) for t in TOPICS},
        metrics=Metrics(),
    )


def drawn(seed: int, answers: int) -> list[ConsumerRecord]:
    """All records of a seed, with their offsets; the same in every process."""
    nexts = dict.fromkeys(TOPICS, 0)
    made = []
    for topic, _, value in records(seed, answers)[:-2]:  # the last two are no records of ours
        made.append(record(topic, nexts[topic], value))
        nexts[topic] += 1
    return made


def chunks(seed: int, answers: int, begun: Mapping[str, int]) -> Iterator[Batch]:
    """The records that are not counted yet, in batches."""
    left = [r for r in drawn(seed, answers) if r.offset >= begun.get(r.topic, 0)]
    for start in range(0, len(left), A_BATCH):
        batch: Batch = {}
        for one in left[start : start + A_BATCH]:
            batch.setdefault(TopicPartition(one.topic, one.partition), []).append(one)
        yield batch


async def begun_at(pool: Pool) -> Mapping[str, int]:
    """The next offset to count, by topic."""
    return {r["topic"]: r["next"] for r in await pool.fetch("SELECT topic, next FROM progress")}
