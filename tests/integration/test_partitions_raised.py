"""A topic gets more partitions while it is read: all are read, whoever reads, and answers count once.

Keys move to other partitions then, so a later revision of an answer may be read before an earlier one.
"""

import asyncio
import copy
import dataclasses
import random
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

import orjson
import pytest
from aiokafka import ConsumerRecord
from aiokafka.admin import NewPartitions

from schemas.topics import RESPONSE_RECORDED
from services.aggregator.counting.cuts import load_cuts
from services.aggregator.counting.reading import Counted, CountedAnswer, reader
from services.aggregator.counting.units import Units
from services.aggregator.handlers import CountBatch
from services.chassis import consumer as chassis_consumer
from services.chassis.arrivals import Arrivals
from services.chassis.consumer import Reader
from services.chassis.fence import Fence
from services.chassis.kafka import CONSUMER_OPTIONS, make_admin
from services.chassis.metrics import Metrics
from services.chassis.own_feed import consume
from services.chassis.postgres import Database, Pool
from services.chassis.settings import Settings
from tests.builders import NOON, facts
from tests.counting import audit, pool, table
from tests.harness import faststream, make_effects, make_topic, numbered, own_loop, producing, reading, until
from tests.own_topic import Feed, OwnTopic

__all__ = ["pool"]

pytestmark = pytest.mark.service("aggregator")
TERMINALS = ("Årsta", "Umeå")


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Topics are looked at three times a second, and never by the Kafka client of itself."""
    monkeypatch.setattr(chassis_consumer, "_IDENTITY_EVERY", 0.3)
    monkeypatch.setitem(CONSUMER_OPTIONS, "metadata_max_age_ms", 3_600_000)


async def raise_partitions(settings: Settings, topic: str, to: int) -> None:
    admin = make_admin(settings)
    await admin.start()
    reply = await admin.create_partitions({topic: NewPartitions(to)})
    assert [code for _, code, _ in reply.topic_errors] == [0]
    await admin.close()


@pytest.fixture
async def topic(settings: Settings, pool: Pool) -> OwnTopic:
    """A topic of one partition, with three records."""
    await make_effects(pool)
    own = await OwnTopic.make(settings, pool)
    await own.send(numbered(1, 3))
    return own


@pytest.mark.parametrize("carrier", [own_loop, faststream])
async def test_partitions_that_are_added_are_read_without_a_restart(topic: OwnTopic, carrier: Feed) -> None:
    async with topic.read(topic.reader(member="a"), feed=carrier) as at_work:
        await at_work.applied(3)
        await raise_partitions(topic.settings, topic.name, 3)
        await topic.send(numbered(4, 6), partition=1)
        await topic.send(numbered(7, 9), partition=2)
        await at_work.applied(9, seconds=20)
    assert sorted(await topic.effects()) == numbered(1, 9)


@pytest.mark.parametrize("away", [True, False], ids=["while it was away", "after it came back"])
async def test_a_reader_that_came_back_under_its_name_reads_partitions_that_were_added(
    topic: OwnTopic, away: bool
) -> None:
    async with topic.read(topic.reader(member="a")) as at_work:
        await at_work.applied(3)
    if away:
        await raise_partitions(topic.settings, topic.name, 2)
    await topic.send(numbered(4, 6))
    async with topic.read(topic.reader(member="a")) as again:
        await again.applied(6)
        if not away:
            await raise_partitions(topic.settings, topic.name, 2)
        await topic.send(numbered(7, 9), partition=1)
        await again.applied(9, seconds=20)
        await again.until(Arrivals(again.reader).all_applied, seconds=20)
    assert sorted(await topic.effects()) == numbered(1, 9)


@dataclasses.dataclass(slots=True)
class Counting:
    """What a counter does with a batch, slowly until it meets a partition that was added."""

    inner: CountBatch
    newest: dict[uuid.UUID, int]
    pace: Callable[[], float]
    overtaken: set[uuid.UUID]

    async def __call__(self, connection: Database, counted: list[Counted]) -> None:
        for answer in counted:
            assert isinstance(answer, CountedAnswer)
            if answer.revision < self.newest.setdefault(answer.response_id, answer.revision):
                self.overtaken.add(answer.response_id)
            self.newest[answer.response_id] = max(answer.revision, self.newest[answer.response_id])
        await asyncio.sleep(self.pace())
        await self.inner(connection, counted)


def value_of(response: uuid.UUID, revision: int, score: int, terminal: str) -> bytes:
    where = facts(delivery_id=f"D-{response}", terminal=terminal, occurred_at=NOON)
    told = {"response_id": str(response), "revision": revision, "score": score, "recorded_at": NOON}
    told |= {"answered_at": NOON + timedelta(hours=1), "delivery": where.model_dump(mode="json", exclude_none=True)}
    return orjson.dumps(told)


@asynccontextmanager
async def counters(
    settings: Settings, pool: Pool, topic: str, count_batch: Counting, seen: set[int], members: str
) -> AsyncIterator[None]:
    """Counters of one group, each as the service makes it, on a topic of this test's own."""
    meaning = reader()

    def decode(record: ConsumerRecord) -> Counted | None:
        seen.add(record.partition)
        meant = copy.copy(record)
        meant.topic = RESPONSE_RECORDED
        return meaning(meant)

    async with AsyncExitStack() as stack:
        for member in members:
            fence: Fence[Counted] = Fence(
                pool=pool,
                service="aggregator",
                group=f"g-{topic}",
                decode=decode,
                apply=count_batch,
                dead_letter_topics={topic: f"{topic}.dlq"},
                metrics=Metrics(),
            )
            one = Reader(settings, fence, [topic], member)

            async def task(stop: asyncio.Event, one: Reader[Counted] = one) -> None:
                await consume(one, stop, max_records=10, fetch_bytes=5_000)

            await stack.enter_async_context(reading(one, task))
        yield


async def test_counters_go_on_exactly_once_while_a_topic_gets_more_partitions(settings: Settings, pool: Pool) -> None:
    dice, topic = random.Random(29), await make_topic(settings, partitions=2)
    answers = [(uuid.UUID(int=dice.getrandbits(128)), dice.choice(TERMINALS), dice.randint(2, 4)) for _ in range(500)]
    scores = {(r, n): dice.randint(1, 5) for r, _, last in answers for n in range(1, last + 1)}
    seen = set[int]()
    count_batch = CountBatch(Units(pool, load_cuts(None)), Metrics(), lambda _, __: None)
    counting = Counting(count_batch, {}, lambda: 0.0 if seen - {0, 1} else 0.1, set())

    async def send(wanted: Callable[[int, int], bool]) -> None:
        """Revisions in their order, as the survey's relay sends them: by their keys to the partitions that it knows."""
        async with producing(settings) as producer:
            for revision in range(1, 5):
                for response, terminal, last in answers:
                    if revision <= last and wanted(revision, last):
                        value = value_of(response, revision, scores[response, revision], terminal)
                        await producer.send(topic, value, key=str(response).encode())
            await producer.flush()

    async with counters(settings, pool, topic, counting, seen, "ab"):
        await send(lambda revision, last: revision < last)
        await raise_partitions(settings, topic, 5)
        await send(lambda revision, last: revision == last)

        async def all_counted() -> bool:
            return bool(await pool.fetchval("SELECT sum(next) FROM progress WHERE topic = $1", topic) == len(scores))

        await until(all_counted, seconds=60)
    assert seen == {0, 1, 2, 3, 4}
    assert len(counting.overtaken) > 20
    truth = {t: Counter(f"s{scores[r, last]}" for r, terminal, last in answers if terminal == t) for t in TERMINALS}
    found = await table(pool)
    for terminal, by_score in truth.items():
        assert found["terminal", terminal, "all", None] == {**by_score, "opened": by_score.total()}
    assert found["total", "", "all", None] == {**sum(truth.values(), Counter()), "opened": 500}
    assert await audit(pool) == []
    assert await pool.fetchval("SELECT count(*) FROM answer") == 500
