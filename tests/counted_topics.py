"""Records for the topics that are counted, and counting them live in a test as the aggregator does."""

import random
import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import orjson

from schemas.topics import CARDS, FEEDBACK_CASE, INVITATION_DECIDED, INVITATION_PROGRESS, RESPONSE_RECORDED
from services.aggregator.counting.answer_columns import Block, blocks_reader
from services.aggregator.counting.complaints import complaints_reader
from services.aggregator.counting.reading import GROUP, TOPICS, Counted, reader
from services.aggregator.counting.units import Units
from services.aggregator.handlers import CountBatch
from services.aggregator.history.past import begin, counted_up_to, reading_again
from services.chassis.fence import Fence
from services.chassis.kafka import make_admin
from services.chassis.metrics import Metrics
from services.chassis.postgres import Pool, named_sql
from services.chassis.settings import Settings
from services.chassis.subscriptions import Subscriptions
from services.chassis.topic_admin import apply_topics
from services.chassis.topic_identity import KnownTopics
from services.chassis.traces import Traces
from tests.builders import NOON, facts
from tests.harness import producing, until


async def make_topics_anew(settings: Settings, topics: Sequence[str]) -> None:
    """Leave nothing in the topics of what other tests wrote, from their first offset on."""
    admin = make_admin(settings)
    await admin.start()
    try:
        known = set(await admin.list_topics()) & set(topics)
        await admin.delete_topics([*known])

        async def gone() -> bool:
            return not set(await admin.list_topics()) & known

        await until(gone)
    finally:
        await admin.close()
    await apply_topics(settings, [CARDS[topic] for topic in topics])


def records(seed: int, answers: int) -> list[tuple[str, bytes, bytes]]:
    """Decisions and answers with revisions, one answer that nobody can read, and one in a zone that is none."""
    dice, made = random.Random(seed), []
    for number in range(answers):
        where = facts(
            delivery_id=f"R-{seed}-{number}",
            terminal=dice.choice(["Årsta", "Umeå"]),
            driver=f"F-{number % 2}",
            occurred_at=NOON + timedelta(minutes=dice.randint(0, 5000)),
        ).model_dump(mode="json", exclude_none=True)
        response = str(uuid.UUID(int=dice.getrandbits(128)))
        for revision in range(1, dice.randint(2, 4)):
            decided = {"delivery": where, "revision": revision, "outcome": dice.choice(["scheduled", "asked"])}
            made.append(
                (INVITATION_DECIDED, where["delivery_id"].encode(), orjson.dumps(decided | {"decided_at": NOON}))
            )
            told = {"response_id": response, "revision": revision, "score": dice.randint(1, 5), "delivery": where}
            told |= {"recorded_at": NOON, "suspected_machine": dice.random() < 0.2}
            told |= {"answered_at": NOON + timedelta(minutes=dice.randint(0, 12_000))}
            told |= {"follow_ups": dice.choice([{}, {"ease": dice.randint(1, 5)}, {"ease": 3, "recommend": 9}])}
            made.append((RESPONSE_RECORDED, response.encode(), orjson.dumps(told)))
        for step in dice.sample(["reached", "opened"], dice.randint(0, 2)):
            # By another topic, so before or after the answer; what it says of the place must not matter.
            got = {"invitation_id": response, "step": step, "delivery": where | {"terminal": "Luleå"}, "at": NOON}
            made.append((INVITATION_PROGRESS, where["delivery_id"].encode(), orjson.dumps(got)))
    lost = {"response_id": str(uuid.UUID(int=dice.getrandbits(128))), "revision": 1, "score": 1, "recorded_at": NOON}
    nowhere = orjson.dumps(
        lost | {"delivery": {**facts().model_dump(mode="json", exclude_none=True), "zone": "Europe"}}
    )
    return [*made, (RESPONSE_RECORDED, b"broken", b"{"), (RESPONSE_RECORDED, b"nowhere", nowhere)]


async def send(settings: Settings, told: list[tuple[str, bytes, bytes]]) -> None:
    async with producing(settings) as producer:
        for topic, key, value in told:
            await producer.send(topic, value, key=key)
        await producer.flush()


async def count_live(settings: Settings, pool: Pool) -> int:
    """Count as the service does, from where it stands to the ends, in small batches. Returns how many were read."""
    units = Units(pool, ())
    fence: Fence[Counted | Block] = Fence(
        pool=pool,
        service="aggregator",
        group=GROUP,
        decode=reader(),
        together=blocks_reader(units),
        apply=CountBatch(units, Metrics(), lambda _, __: None),
        dead_letter_topics={t: str(CARDS[t].dead_letter) for t in TOPICS},
        metrics=Metrics(),
    )
    return await _count(settings, pool, fence, TOPICS)


async def count_cases(settings: Settings, pool: Pool) -> int:
    """The same with cases, for complaints."""
    fence = complaints_reader(Subscriptions(settings, "aggregator", 8603, pool, Metrics(), Traces("aggregator"))).fence
    return await _count(settings, pool, fence, [FEEDBACK_CASE])


async def _count(settings: Settings, pool: Pool, fence: Fence[Any], topics: Sequence[str]) -> int:
    known = KnownTopics(settings, topics)
    await known.learn()
    parts = [p for topic in topics for p in known[topic].parts(topic)]
    begin_partition = named_sql("services.chassis", "progress.sql")["begin_partition"]
    for p in parts:
        is_this = known[p.topic]
        await pool.execute(begin_partition, p.topic, p.partition, is_this.cluster_id, is_this.topic_id, 0)
    read = 0
    async with pool.acquire() as connection, reading_again(settings, "test") as consumer:
        await begin(consumer, parts)
        ends = await consumer.end_offsets(parts)
        for part, at in (await counted_up_to(connection, topics)).items():
            consumer.seek(part, at)
        while any([await consumer.position(p) < ends[p] for p in parts]):
            batch = await consumer.getmany(timeout_ms=100, max_records=17)
            await fence.take(batch)
            read += sum(map(len, batch.values()))
    return read
