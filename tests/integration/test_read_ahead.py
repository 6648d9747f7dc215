"""While a large batch is applied the next one is read: nothing lost, nothing twice, whatever happens between them."""

import asyncio
from collections import Counter

import pytest
from aiokafka import ConsumerRecord

from services.chassis import own_feed
from services.chassis.batches import Batch
from services.chassis.fence import Gap
from services.chassis.meanings import Meanings
from services.chassis.postgres import Pool
from services.chassis.settings import Settings
from tests.harness import (
    Effects,
    begin,
    effects_of,
    make_fence,
    numbered,
    progress_of,
    reading,
    record,
    understand,
    until,
)
from tests.own_topic import OwnTopic, pool

__all__ = ["pool"]


@pytest.fixture(autouse=True)
def every_batch_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_feed, "_MANY", 1)


@pytest.fixture
async def topic(settings: Settings, pool: Pool) -> OwnTopic:
    """Two partitions with 1 to 200 in the one and 201 to 400 in the other."""
    own = await OwnTopic.make(settings, pool, partitions=2)
    await own.send(numbered(1, 200), partition=0)
    await own.send(numbered(201, 400), partition=1)
    return own


async def _check_each_once_and_in_order(topic: OwnTopic) -> None:
    numbers = [int(value) for value in await topic.effects()]
    assert [n for n in numbers if n <= 200] == [*range(1, 201)]
    assert [n for n in numbers if n > 200] == [*range(201, 401)]


async def test_a_batch_is_read_once_and_while_the_one_before_it_is_applied(topic: OwnTopic) -> None:
    effects, read = Effects(), Counter[bytes | None]()
    reader = topic.reader(effects)

    def understood(record: ConsumerRecord) -> bytes | None:
        read[record.value] += 1
        return understand(record)

    async def next_one_is_read() -> None:
        if len(effects.calls) < 5:
            applied = sum(map(len, effects.calls))
            await until(lambda: _is(sum(read.values()) > applied), seconds=20)

    reader.fence.decode, effects.before = understood, next_one_is_read
    async with topic.read(reader, max_records=20) as at_work:
        await at_work.applied(400)
    await _check_each_once_and_in_order(topic)
    assert set(read.values()) == {1}


async def test_what_was_read_ahead_before_reading_had_to_go_back_is_read_again(
    topic: OwnTopic, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = topic.reader()
    take, taken = reader.fence.take, Counter[str]()

    async def overtaken(batch: Batch, meanings: Meanings[bytes] | None = None) -> None:
        taken["batches"] += 1
        if taken["batches"] == 3:
            await until(lambda: _is(reader._in_hand == 2), seconds=20)
            raise Gap({p: await progress_of(topic.pool, topic.name, p.partition) or 0 for p in batch})
        await take(batch, meanings)

    monkeypatch.setattr(type(reader.fence), "take", lambda _, *given: overtaken(*given))
    async with topic.read(reader, max_records=20) as at_work:
        await at_work.applied(400)
    await _check_each_once_and_in_order(topic)


async def test_of_a_batch_that_was_read_ahead_only_what_nobody_else_applied_meanwhile_is_applied(pool: Pool) -> None:
    part = await begin(pool, "t")
    fence, other = (make_fence(pool, "t", Effects()) for _ in range(2))
    batch = {part: [record("t", n, b"%d" % n) for n in range(4)]}
    meanings = await fence.read(batch)
    await other.take({part: batch[part][:2]})
    await fence.take(batch, meanings)
    assert await effects_of(pool) == [b"0", b"1", b"2", b"3"]


async def test_partitions_that_go_to_another_process_while_they_are_read_ahead_are_applied_once(
    topic: OwnTopic,
) -> None:
    slow = Effects(before=lambda: asyncio.sleep(0.05))
    readers = [topic.reader(slow) for _ in range(3)]

    async def one_after_another(stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as group:
            for reader in readers:
                group.create_task(own_feed.consume(reader, stop, max_records=5))
                await asyncio.sleep(0.7)

    async def all_applied() -> bool:
        return len(await topic.effects()) >= 400

    async with reading(readers[0], one_after_another) as stop:
        await until(all_applied, stop)
    await _check_each_once_and_in_order(topic)


async def test_a_stop_lets_go_of_what_was_read_ahead_and_the_next_process_applies_it(topic: OwnTopic) -> None:
    for _ in range(3):
        effects = Effects(before=lambda: asyncio.sleep(0.05))
        async with topic.read(topic.reader(effects), max_records=20) as at_work:
            await at_work.until(lambda effects=effects: _is(len(effects.calls) >= 3))  # type: ignore[misc]
        applied = len(await topic.effects())
        assert applied == sum([await progress_of(topic.pool, topic.name, partition) or 0 for partition in range(2)])
    async with topic.read(max_records=20) as at_work:
        await at_work.applied(400)
    await _check_each_once_and_in_order(topic)


async def _is(holds: bool) -> bool:
    return holds
