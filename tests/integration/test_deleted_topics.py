"""A topic that is deleted while a producer knows it: what was meant for it waits, all else goes on, and it heals."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiokafka.errors import UnknownTopicOrPartitionError
from structlog.testing import capture_logs

from schemas.topics import CARDS, SATISFACTION_CELLS
from services.aggregator.partners.publishing import PartnerPublisher
from services.aggregator.publishing.publisher import Publisher
from services.chassis.failures import TryAgain
from services.chassis.kafka import make_admin
from services.chassis.lost_topics import SHARDS
from services.chassis.metrics import Metrics
from services.chassis.outbox import Relay
from services.chassis.postgres import Pool, named_sql
from services.chassis.settings import Settings
from services.chassis.topic_admin import apply_topics
from services.chassis.topic_identity import TopicIdentity, identity_now
from tests.builders import NOON
from tests.harness import make_topic, read_all, until
from tests.integration.test_publishing import House, house
from tests.relaying import in_lost_topics, put, running, waiting

__all__ = ["house"]
pytestmark = pytest.mark.service("aggregator")
OUTBOX, LOST = (named_sql("services.chassis", file) for file in ("outbox.sql", "lost_topics.sql"))
SOON = 18.0
"""Seconds: aiokafka alone tries a deleted topic for 20, and everything else waits."""


@pytest.fixture
async def settings(shared_settings: Settings) -> AsyncIterator[Settings]:
    await apply_topics(shared_settings, [CARDS[SATISFACTION_CELLS]])
    yield shared_settings.model_copy(update={"publish_interval_seconds": 0.01})
    await apply_topics(shared_settings, [CARDS[SATISFACTION_CELLS]])


async def delete(settings: Settings, topic: str) -> None:
    admin = make_admin(settings)
    await admin.start()
    await admin.delete_topics([topic])
    await admin.close()

    async def gone() -> bool:
        try:
            await identity_now(settings, topic)
        except UnknownTopicOrPartitionError:
            return True
        return False

    await until(gone)


async def test_rows_of_a_topic_that_is_deleted_wait_while_others_go_on_and_go_out_in_order_once_it_is_back(
    settings: Settings, pool: Pool
) -> None:
    topic, other = await make_topic(settings), await make_topic(settings)
    relay = Relay(settings, "aggregator", Metrics())

    async def nothing_waits() -> bool:
        return await waiting(pool) == 0

    async def only_the_deleted_one_waits() -> bool:
        return await waiting(pool) == 3 and in_lost_topics(relay, topic) == 3

    with capture_logs() as lines:
        async with running(relay.run):
            for name in (topic, other):
                await put(pool, name, b"k", b"0")
            await until(nothing_waits)
            await delete(settings, topic)
            for n in (b"1", b"2", b"3"):
                for name in (topic, other):
                    await put(pool, name, b"k", n)
            await until(only_the_deleted_one_waits, seconds=SOON)
            assert [r.value for r in await read_all(settings, other, 4)] == [b"0", b"1", b"2", b"3"]
            await make_topic(settings, name=topic)
            await put(pool, topic, b"k", b"4")
            await until(nothing_waits)
    # What the producer still had may come first; whoever reads knows rows by their event ids.
    assert [r.value for r in await read_all(settings, topic, 4)][-4:] == [b"1", b"2", b"3", b"4"]
    assert in_lost_topics(relay, topic) == 0
    told = [(line["action"], line["topic"]) for line in lines if line.get("topic") == topic]
    assert told == [("put_aside", topic), ("bring_back", topic)]
    assert [line for line in lines if line["action"] == "retry"] == []


async def test_rows_of_a_lost_topic_that_an_operator_deletes_leave_the_metric_and_the_count_of_what_waits(
    settings: Settings, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.chassis.lost_topics._LOOK_EVERY", 0.1)
    monkeypatch.setattr("services.chassis.lost_topics._COUNT_EVERY", 0.2)
    relay = Relay(settings, "aggregator", Metrics())
    for topic in ("unwanted.v1", "dropped.v1"):
        for n in (b"1", b"2"):
            await put(pool, topic, b"k", n)

    async def put_aside() -> bool:
        return [in_lost_topics(relay, topic) for topic in ("unwanted.v1", "dropped.v1")] == [2, 2]

    async def forgotten() -> bool:
        lost = [in_lost_topics(relay, topic) for topic in ("unwanted.v1", "dropped.v1")]
        return lost == [0, 0] and await waiting(pool) == 0

    async with running(relay.run):
        await until(put_aside)
        await pool.execute(  # as the runbook says
            "DELETE FROM outbox_waiting WHERE id IN (SELECT id FROM outbox WHERE topic = 'unwanted.v1')"
        )
        await pool.execute("DELETE FROM outbox WHERE topic = 'dropped.v1'")
        await until(forgotten, seconds=SOON)


async def test_a_row_that_waits_apart_waits_once_and_comes_back_with_its_own_topic_only(pool: Pool) -> None:
    for topic in ("gone.v1", "other.v1"):
        await put(pool, topic, b"k", b"0")
    (shard, gone), (_, other) = await places(pool)
    for _ in range(2):
        await pool.execute(LOST["put_aside"], list(SHARDS), [gone, other])
        assert await places(pool) == [(shard + 4, gone), (shard + 4, other)]
        await pool.execute(OUTBOX["publish_again_since"], NOON)
    await pool.execute(LOST["bring_back"], list(SHARDS), "gone.v1")
    assert await places(pool) == [(shard, gone), (shard, other), (shard + 4, other)]


async def test_a_row_that_waits_apart_is_not_forgotten_however_old_it_is(pool: Pool, settings: Settings) -> None:
    for topic in ("gone.v1", "published.v1"):
        await put(pool, topic, b"k", b"0")
    await pool.execute("DELETE FROM outbox_waiting WHERE id IN (SELECT id FROM outbox WHERE topic = 'published.v1')")
    [(_, number)] = await places(pool)
    await pool.execute(LOST["put_aside"], list(SHARDS), [number])
    await pool.execute("UPDATE outbox SET happened_at = happened_at - interval '73 hours'")
    await pool.execute(OUTBOX["forget_published"], settings.outbox_keep_hours * 3600, 0)
    assert [r["topic"] for r in await pool.fetch("SELECT topic FROM outbox")] == ["gone.v1"]


async def places(pool: Pool) -> list[tuple[int, int]]:
    """Shard and number of each row that waits."""
    return [(r["shard"], r["id"]) for r in await pool.fetch("SELECT shard, id FROM outbox_waiting ORDER BY shard, id")]


async def test_cells_wait_for_their_topic_and_all_are_told_when_it_is_made_again(house: House) -> None:
    publisher, stop = Publisher(house.settings, metrics := Metrics()), asyncio.Event()
    await house.count(number=1, elsewhere=True)
    with capture_logs() as lines:
        running = asyncio.create_task(publisher.run(stop))
        await until(lambda: _told(house, 1))
        await delete(house.settings, SATISFACTION_CELLS)
        await house.count(number=2, elsewhere=True)
        publisher.wake()

        async def says_so() -> bool:
            return any(line.get("error") == "UnknownTopicOrPartitionError" for line in lines)

        await until(says_so, seconds=SOON)
        assert not running.done()
        assert await house.pool.fetchval("SELECT count(*) FROM touched") == 1
        assert metrics.registry.get_sample_value("kvittera_retries_total", {"what": "publisher"})
        await apply_topics(house.settings, [CARDS[SATISFACTION_CELLS]])
        await until(lambda: _told(house, 2))
        stop.set()
        await running
    assert len(await house.versions()) == 5


async def _told(house: House, version: int) -> bool:
    return (await house.versions()).get(house.everything, [])[-1:] == [version]


async def test_a_topic_made_again_between_two_comparisons_gets_every_cell_again(house: House) -> None:
    await house.count()
    assert await house.publish() == 5
    assert await house.repair() == 0
    await delete(house.settings, SATISFACTION_CELLS)
    await apply_topics(house.settings, [CARDS[SATISFACTION_CELLS]])
    assert await house.repair() == 5
    assert (await house.versions())[house.everything] == [1]


async def test_a_comparison_ends_when_its_topic_is_deleted_while_it_reads(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.count()
    assert await house.publish() == 5
    asked = house.mirror.end_offsets

    async def then_deleted(partitions: object) -> object:
        ends = await asked(partitions)
        await delete(house.settings, SATISFACTION_CELLS)
        return ends

    monkeypatch.setattr(house.mirror, "end_offsets", then_deleted)
    async with asyncio.timeout(SOON):
        with pytest.raises(UnknownTopicOrPartitionError):
            await house.repair()


async def test_a_publisher_goes_on_where_its_topic_has_no_leader_for_a_moment(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher, stop, answers = (
        Publisher(house.settings, Metrics()),
        asyncio.Event(),
        [TryAgain("Kafka answers error 5")],
    )

    async def asked(_: Settings, topic: str) -> TopicIdentity:
        if answers:
            raise answers.pop()
        return await identity_now(house.settings, topic)

    monkeypatch.setattr("services.aggregator.publishing.followed.identity_now", asked)

    async def was_refused() -> bool:
        return not answers

    running = asyncio.create_task(publisher.run(stop))
    await until(was_refused)
    await house.count(number=1, elsewhere=True)
    await until(lambda: _told(house, 1))
    stop.set()
    await running


async def test_a_comparison_with_a_topic_that_is_away_is_made_again_and_stops_no_counting(house: House) -> None:
    await delete(house.settings, SATISFACTION_CELLS)
    with pytest.raises(UnknownTopicOrPartitionError):
        await house.repair()
    partners = PartnerPublisher(house.settings, Metrics(), lambda: True)
    with pytest.raises(UnknownTopicOrPartitionError):
        await partners._last_values("nobody")
