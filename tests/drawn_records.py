"""Drawn records of the topics that the aggregator counts, in small batches as a reader brings them."""

import itertools
import time
from collections.abc import Callable, Iterator, Mapping
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
from tests.accounts import BROKEN, Listed
from tests.counted_topics import records
from tests.harness import record

Batch = dict[TopicPartition, list[ConsumerRecord]]
A_BATCH = 6
BROKEN_EACH = 50
"""After so many records comes a broken one."""


def counting(pool: Any, now: Callable[[], float] = time.time) -> Fence[Counted | Block]:
    """The fence that counts, as the service makes it, without its metrics."""
    units = Units(pool, ())
    return Fence(
        pool=pool,
        service="aggregator",
        group=GROUP,
        decode=reader(),
        together=blocks_reader(units),
        apply=CountBatch(units, Metrics(), lambda _, __: None, now=now),
        dead_letter_topics={t: str(CARDS[t].dead_letter) for t in TOPICS},
        metrics=Metrics(),
    )


def mixed(seed: int, answers: int, each: int = BROKEN_EACH) -> Iterator[tuple[str, bytes, bytes]]:
    """Topic, key and value of each record of a seed, with a broken one after so many."""
    told = records(seed, answers)
    whole, broken = told[:-2], itertools.cycle(told[-2:])
    for number, one in enumerate(whole, 1):
        if number % each == 0:
            yield next(broken)
        yield one


def drawn(seed: int, answers: int) -> list[ConsumerRecord]:
    """The same with their offsets, each topic one partition; the same in every process."""
    nexts = dict.fromkeys(TOPICS, 0)
    made = []
    for topic, key, value in mixed(seed, answers):
        made.append(record(topic, nexts[topic], value, key=key))
        nexts[topic] += 1
    return made


def listed(seed: int, answers: int) -> Listed:
    """The same, for whoever accounts for them."""
    return Listed(drawn(seed, answers))


def broken_below(seed: int, answers: int, begun: Mapping[str, int]) -> int:
    """How many of those before these offsets are broken."""
    return sum(r.key in BROKEN for r in drawn(seed, answers) if r.offset < begun[r.topic])


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
