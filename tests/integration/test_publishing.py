"""Published cells: versions of a key only grow, and the topic ends with what the table holds."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord

from schemas.cloudevents import decode, read_record
from schemas.satisfaction import SatisfactionCell
from schemas.topics import CARDS, SATISFACTION_CELLS
from services.aggregator.counting.cuts import cut_named
from services.aggregator.counting.reading import CountedAnswer, Facts
from services.aggregator.counting.units import Units
from services.aggregator.counting.windows import Int64
from services.aggregator.handlers import CountBatch
from services.aggregator.publishing.publisher import Publisher, cell_key
from services.chassis.bigint_copy import read_rows
from services.chassis.kafka import make_consumer, make_producer
from services.chassis.metrics import Metrics
from services.chassis.postgres import Database, Pool, connect
from services.chassis.settings import Settings
from services.chassis.topic_admin import apply_topics
from services.chassis.topic_identity import topic_partitions
from tests.builders import NOON
from tests.harness import until
from tests.tables import empty_pool


@pytest.fixture(scope="module")
async def settings(shared_settings: Settings) -> Settings:
    await apply_topics(shared_settings, [CARDS[SATISFACTION_CELLS]])
    return shared_settings.model_copy(update={"publish_interval_seconds": 0.01})


@dataclass
class House:
    """A counting and publishing aggregator with a terminal of its own, so that its keys are no other test's."""

    settings: Settings
    pool: Pool
    connection: Database
    producer: AIOKafkaProducer
    mirror: AIOKafkaConsumer
    publisher: Publisher
    terminal: str = field(default_factory=lambda: f"T-{uuid.uuid4().hex[:8]}")
    revision: int = 0

    @property
    def everything(self) -> bytes:
        return cell_key("terminal", self.terminal, "all", None).encode()

    async def count(
        self,
        number: int = 1,
        score: int = 5,
        delivered: datetime = NOON,
        *,
        elsewhere: bool = False,
        given_up: bool = False,
    ) -> None:
        """Count one more revision; `elsewhere`: in another process than the publisher's; `given_up`: not committed."""
        self.revision += 1
        facts = Facts("Nordposten Demo", "SE", "home_day", delivered, "Europe/Stockholm", "D-1", terminal=self.terminal)
        answer = CountedAnswer(uuid.UUID(int=number), self.revision, NOON, facts, score)
        tell = (lambda _, __: None) if elsewhere else self.publisher.counted
        batch = CountBatch(Units(self.pool, [cut_named("terminal")]), Metrics(), tell)
        async with self.pool.acquire() as connection, connection.transaction():
            await batch(connection, [answer])
            if given_up:
                raise LookupError

    async def publish(self) -> int:
        return await self.publisher.publish_touched(self.connection, self.producer)

    async def repair(self) -> int:
        return await self.publisher.repair(self.connection, self.producer, self.mirror)

    async def records(self) -> list[ConsumerRecord]:
        """All records about this house's terminal, those of a key from the oldest on."""
        consumer = make_consumer(self.settings, group=None, client="test")
        await consumer.start()
        try:
            parts = await topic_partitions(self.settings, SATISFACTION_CELLS)
            consumer.assign(parts)
            await consumer.seek_to_beginning(*parts)
            ends = await consumer.end_offsets(parts)
            found: list[ConsumerRecord] = []
            while any([await consumer.position(p) < ends[p] for p in parts]):
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found += records
        finally:
            await consumer.stop()
        return [r for r in found if f"|{self.terminal}|".encode() in r.key]

    async def versions(self) -> dict[bytes, list[int]]:
        """The versions of each key in the order in which the topic has them."""
        found: dict[bytes, list[int]] = {}
        for record in await self.records():
            found.setdefault(record.key, []).append(orjson.loads(record.value)["version"])
        return found


@pytest.fixture
async def house(settings: Settings) -> AsyncIterator[House]:
    async with empty_pool(settings, "aggregator") as pool:
        connection = await connect(settings, "aggregator")
        producer = make_producer(settings, client="test")
        mirror = make_consumer(settings, group=None, client="test-mirror")
        await producer.start()
        await mirror.start()
        publisher = Publisher(settings, Metrics())
        publisher._counted.begin()
        yield House(settings, pool, connection, producer, mirror, publisher)
        await producer.stop()
        await mirror.stop()
        connection.terminate()


async def test_each_touched_cell_is_published_once_a_pass_as_it_stands(house: House) -> None:
    for score in (1, 2, 5):
        await house.count(score=score)
    assert await house.publish() == 5
    assert await house.publish() == 0
    assert await house.versions() == {
        cell_key("terminal", house.terminal, window, start).encode(): [3]
        for window, start in [
            ("hour", "2026-10-13T14:00"),
            ("day", "2026-10-13"),
            ("week", "2026-10-12"),
            ("month", "2026-10"),
            ("all", None),
        ]
    }


async def test_what_is_published_is_right_by_the_contract(house: House) -> None:
    await house.count(number=1, score=5)
    await house.count(number=2, score=2)
    assert await house.publish() == 5
    records = await house.records()
    assert len(records) == 5
    for record in records:
        event = read_record(record.value, record.headers, record.key)
        assert (event.type, event.source) == (SATISFACTION_CELLS, "/kvittera/aggregator")
        cell = decode(SatisfactionCell, event)
        assert (cell.cut, cell.value, cell.scores, cell.answers) == ("terminal", house.terminal, (0, 1, 0, 0, 1), 2)
        assert cell.as_of - datetime.now(UTC) < timedelta(minutes=1)
        assert record.key.decode() == cell_key(cell.cut, cell.value, cell.window.value, cell.start)


async def test_versions_of_a_key_strictly_increase_while_counting_goes_on(house: House) -> None:
    done = asyncio.Event()

    async def publish_until_done() -> None:
        while not done.is_set():
            await house.publish()

    publishing = asyncio.create_task(publish_until_done())
    for n in range(60):
        await house.count(score=n % 5 + 1, elsewhere=n % 3 == 0)
    done.set()
    await publishing
    await house.publish()
    for versions in (await house.versions()).values():
        assert versions == sorted(set(versions))
        assert versions[-1] == 60


@pytest.mark.parametrize("first_elsewhere", [True, False])
async def test_what_two_processes_counted_is_published_once_with_the_higher_version(
    house: House, *, first_elsewhere: bool
) -> None:
    await house.count(score=1, elsewhere=first_elsewhere)
    await house.count(score=5, elsewhere=not first_elsewhere)
    assert await house.publish() == 5
    assert (await house.versions())[house.everything] == [2]


async def test_what_was_counted_and_not_committed_is_not_published(house: House) -> None:
    with pytest.raises(LookupError):
        await house.count(score=1, given_up=True)
    assert await house.publish() == 0
    await house.count(score=5)
    assert await house.publish() == 5
    [last] = [r for r in await house.records() if r.key == house.everything]
    assert orjson.loads(last.value)["scores"] == [0, 0, 0, 0, 1]
    assert not house.publisher._counted.of(range(1000))


async def test_a_cell_that_goes_while_it_waits_is_taken_back_at_once(house: House) -> None:
    await house.count()
    gone = await house.connection.fetchval("DELETE FROM cell WHERE cell & 4294967295 = 3221225472 RETURNING cell")
    await house.connection.execute("INSERT INTO touched (cells) VALUES ($1)", [gone])
    assert await house.publish() == 5
    assert [r.value is None for r in await house.records() if r.key == house.everything] == [True]


async def test_a_counter_that_cannot_be_is_published_as_it_stands_beside_the_others(house: House) -> None:
    await house.count(elsewhere=True)
    await house.connection.execute("UPDATE cell SET pending = -1 WHERE cell & 4294967295 = 3221225472")
    assert await house.publish() == 5
    told = {r.key: orjson.loads(r.value)["pending"] for r in await house.records()}
    assert (told[house.everything], sorted(told.values())) == (-1, [-1, 0, 0, 0, 0])


async def test_a_cell_touched_during_a_pass_is_published_by_the_next_with_its_new_version(house: House) -> None:
    await house.count()

    class Busy(Publisher):
        async def _read(self, connection: Database, query: str, which: list[int]) -> Int64:
            await house.count(score=1)  # committed after the pass has read what was touched
            return await super()._read(connection, query, which)

    await Busy(house.settings, Metrics()).publish_touched(house.connection, house.producer)
    await house.publish()
    assert (await house.versions())[house.everything] == [1, 2]


async def test_a_pass_that_fails_is_made_again_and_nothing_is_missing(house: House) -> None:
    class Unreachable:
        async def partitions_for(self, _: str) -> None:
            raise ConnectionError("no broker")

    await house.count()
    with pytest.raises(ConnectionError):
        await house.publisher.publish_touched(house.connection, Unreachable())
    assert await house.publish() == 5
    assert (await house.versions())[house.everything] == [1]


async def test_a_value_that_a_zombie_puts_last_is_repaired(house: House) -> None:
    await house.count(score=1)
    await house.publish()
    old = next(r for r in await house.records() if r.key == house.everything)
    await house.count(score=5)
    await house.publish()
    assert await house.repair() == 0
    # A publisher that was paused with the old value in hand sends it now.
    await house.producer.send_and_wait(SATISFACTION_CELLS, old.value, key=old.key, headers=list(old.headers))
    assert (await house.versions())[house.everything] == [1, 2, 1]
    assert await house.repair() == 1
    assert (await house.versions())[house.everything] == [1, 2, 1, 2]
    assert await house.repair() == 0


async def test_a_cell_that_is_gone_and_that_a_zombie_brings_back_is_taken_back_again(house: House) -> None:
    await house.count(score=1)
    await house.publish()
    old = next(r for r in await house.records() if r.key == house.everything)
    gone = await house.connection.fetchval("DELETE FROM cell WHERE cell & 4294967295 = 3221225472 RETURNING cell")
    await house.connection.execute("INSERT INTO touched (cells) VALUES ($1)", [gone])
    await house.publish()
    assert await house.repair() == 0
    # A publisher that was paused before the cell went sends the value that it had read.
    await house.producer.send_and_wait(SATISFACTION_CELLS, old.value, key=old.key, headers=list(old.headers))
    assert await house.repair() == 1
    told = [r for r in await house.records() if r.key == house.everything]
    assert [r.value is None for r in told] == [False, True, False, True]
    assert read_record(None, told[-1].headers, told[-1].key).type == SATISFACTION_CELLS
    assert await house.repair() == 0


async def test_a_cell_that_is_gone_is_left_to_the_next_pass_while_it_waits(house: House) -> None:
    await house.count(score=1)
    await house.publish()
    assert await house.repair() == 0
    gone = await house.connection.fetchval("DELETE FROM cell WHERE cell & 4294967295 = 3221225472 RETURNING cell")
    await house.connection.execute("INSERT INTO touched (cells) VALUES ($1)", [gone])
    assert await house.repair() == 0
    assert all(r.value is not None for r in await house.records())
    assert await house.publish() == 1


async def test_a_cut_counted_anew_under_an_old_name_is_not_taken_back_with_the_old_one(house: House) -> None:
    await house.count(score=1)
    await house.publish()
    assert await house.repair() == 0
    gone = [r["cell"] for r in await house.connection.fetch("DELETE FROM cell RETURNING cell")]
    await house.connection.execute("UPDATE unit SET cut = '-7-' || cut")
    await house.connection.execute("INSERT INTO touched (cells) VALUES ($1)", gone)
    await house.publish()
    await house.count(number=2, score=5)
    await house.publish()
    for _ in range(2):
        assert await house.repair() == 0
    told = [r for r in await house.records() if r.key == house.everything]
    assert [r.value is None for r in told] == [False, True, False]


async def test_a_cell_of_a_dropped_cut_that_a_zombie_brings_back_is_taken_back_again(house: House) -> None:
    await house.count(score=1)
    await house.publish()
    old = next(r for r in await house.records() if r.key == house.everything)
    gone = [r["cell"] for r in await house.connection.fetch("DELETE FROM cell RETURNING cell")]
    await house.connection.execute("UPDATE unit SET cut = '-7-' || cut")
    await house.connection.execute("INSERT INTO touched (cells) VALUES ($1)", gone)
    await house.publish()
    assert await house.repair() == 0
    await house.producer.send_and_wait(SATISFACTION_CELLS, old.value, key=old.key, headers=list(old.headers))
    # What names no unit of ours, now or before, is not ours to take back.
    await house.producer.send_and_wait(SATISFACTION_CELLS, old.value, key=old.key.replace(b"terminal", b"foreign"))
    assert await house.repair() == 1
    told = [r for r in await house.records() if r.key == house.everything]
    assert [r.value is None for r in told] == [False, True, False, True]
    assert read_record(None, told[-1].headers, told[-1].key).type == SATISFACTION_CELLS
    assert await house.repair() == 0


async def test_an_old_value_that_others_put_between_our_own_is_repaired(house: House) -> None:
    hour = cell_key("terminal", house.terminal, "hour", "2026-10-13T14:00").encode()
    await house.count(score=1)
    await house.publish()
    old = next(r for r in await house.records() if r.key == hour)
    await house.count(score=5)
    await house.publish()
    assert await house.repair() == 0
    await house.producer.send_and_wait(SATISFACTION_CELLS, old.value, key=old.key, headers=list(old.headers))
    for later in range(1, 9):  # both partitions get something of ours behind it
        await house.count(number=1 + later, delivered=NOON + timedelta(days=later))
    await house.publish()
    assert (await house.versions())[hour] == [1, 2, 1]
    assert await house.repair() == 1
    assert (await house.versions())[hour] == [1, 2, 1, 2]


async def test_what_we_sent_ourselves_is_not_read_again_to_compare(house: House) -> None:
    await house.count(score=1)
    assert await house.repair() == 0
    await house.publish()
    ends = await house.mirror.end_offsets(await topic_partitions(house.settings, SATISFACTION_CELLS))
    assert house.publisher._topic.ends == {p.partition: end for p, end in ends.items()}
    counted = await read_rows(house.connection, house.publisher._sql["all_versions"], columns=2)
    assert len(counted) == 5
    assert house.publisher._topic.seen.behind(counted).tolist() == []
    assert await house.repair() == 0


async def test_a_cell_that_never_reached_the_topic_is_repaired(house: House) -> None:
    await house.count()
    await house.connection.execute("DELETE FROM touched")
    assert await house.publish() == 0
    assert await house.repair() == 5
    assert (await house.versions())[house.everything] == [1]


async def test_a_running_publisher_compares_and_repairs_by_itself(house: House) -> None:
    await house.count(elsewhere=True)
    await house.pool.execute("TRUNCATE touched")
    stop = asyncio.Event()
    running = asyncio.create_task(Publisher(house.settings, Metrics()).run(stop))

    async def told() -> bool:
        return house.everything in await house.versions()

    await until(told)
    stop.set()
    await asyncio.wait_for(running, 90)


async def test_what_the_next_pass_publishes_anyway_is_not_repaired(house: House) -> None:
    await house.count()
    assert await house.repair() == 0
    assert await house.versions() == {}


@pytest.mark.parametrize("value", [b"no json", b"[]", b"{}", b'{"version": null}', None])
async def test_a_foreign_record_on_the_topic_does_not_stop_the_repair(house: House, value: bytes | None) -> None:
    await house.count()
    await house.publish()
    await house.producer.send_and_wait(SATISFACTION_CELLS, value, key=house.everything)
    await house.producer.send_and_wait(SATISFACTION_CELLS, b"{", key=b"\xff")
    assert await house.repair() == 1
    # A later reader of the whole topic finds the state last, and that no cell of ours was taken back.
    assert orjson.loads([r for r in await house.records() if r.key == house.everything][-1].value)["version"] == 1


async def test_two_publishers_take_turns_and_the_heir_publishes_what_is_left(house: House) -> None:
    stops = [asyncio.Event(), asyncio.Event()]
    publishers = [Publisher(house.settings, Metrics()) for _ in stops]
    running = [asyncio.create_task(p.run(s)) for p, s in zip(publishers, stops, strict=True)]
    for n, _ in enumerate(stops):
        await house.count(score=n + 1)
        async with asyncio.timeout(90):
            while await house.pool.fetchval("SELECT count(*) FROM touched"):
                for publisher in publishers:
                    publisher.wake()
                await asyncio.sleep(0.05)
        stops[n].set()
        await asyncio.wait_for(running[n], 90)
    versions = (await house.versions())[house.everything]
    assert versions == [1, 2]


async def test_a_tombstone_tells_of_a_cell_that_is_gone_and_of_no_other(house: House) -> None:
    await house.count(score=5)
    await house.publish()
    await house.count(score=1)
    await house.publish()
    assert all(r.value is not None for r in await house.records())
    gone = await house.connection.fetchval("DELETE FROM cell WHERE cell & 4294967295 = 3221225472 RETURNING cell")
    await house.connection.execute("INSERT INTO touched (cells) VALUES ($1)", [gone])
    assert await house.publish() == 1
    [last] = [r for r in await house.records() if r.value is None]
    assert last.key == house.everything
    assert read_record(None, last.headers, last.key).type == SATISFACTION_CELLS
    assert await house.repair() == 0


async def test_a_cut_that_is_being_built_is_told_of_after_the_switch_only(house: House) -> None:
    await house.connection.execute("INSERT INTO counted_cut (cut, windows, state) VALUES ('terminal', 31, 'building')")
    await house.count(score=5)
    await house.publish()
    assert await house.repair() == 0
    assert await house.records() == []
    await house.connection.execute("UPDATE counted_cut SET state = 'counted'")
    assert await house.repair() == 5


async def test_a_hundred_thousand_cells_that_wait_hold_up_neither_the_pass_nor_the_comparison(house: House) -> None:
    # Unit and place of a packed cell lie over each other in PostgreSQL's hash: a thousand units by hour are all alike.
    await house.count()
    await house.pool.execute(
        "INSERT INTO touched (cells) SELECT array_agg(u::bigint << 32 | h)"
        " FROM generate_series(1, 1000) AS u, generate_series(497000, 497130) AS h"
    )
    async with house.connection.transaction():
        await house.connection.execute("SET LOCAL statement_timeout = '15s'")  # by that hash it takes minutes
        waiting = await house.connection.fetch(house.publisher._sql["waiting_cells"])
        numbers = [r["id"] for r in await house.connection.fetch(house.publisher._sql["read_touched"])]
        found = await house.connection.fetch(house.publisher._sql["touched_cells"], numbers)
    assert (len(waiting), len(found)) == (131_005, 131_005)
