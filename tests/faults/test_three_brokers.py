"""Three brokers with three copies of everything: a leader dies, stands still, is replaced; two are away at once.

What is printed is how long the slowest partition stood still, with Kafka's own times for noticing a dead broker.
"""

import asyncio
import os
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest

from schemas.topics import CARDS
from services.aggregator.counting.reading import GROUP
from services.chassis.kafka import make_producer, stop_producer
from services.chassis.settings import Settings
from services.chassis.topic_admin import apply_topics
from services.demo.supervisor import SERVICES
from services.doctor.examination import examine
from services.doctor.kafka import kafka
from services.doctor.rights import rights
from services.doctor.topics import partitions, topics
from services.embedded.postgres import EmbeddedPostgres
from services.embedded.servers import Servers
from tests.faults.running_system import RunningSystem
from tests.faults.standstill import Standstill, watched
from tests.faults.waiting import until
from tests.three_brokers import (
    NUMBERS,
    ThreeBrokers,
    all_in_sync,
    coordinator_of,
    leads_most,
    partitions_now,
    three_brokers,
)

pytestmark = [
    pytest.mark.skipif("LONG_CUTS" not in os.environ, reason="takes minutes: make test-faults"),
    pytest.mark.timeout(600),
]
_RATE = 30.0
_SOON, _RESTART = 60.0, 30.0
"""Seconds that work may stand still when a broker is lost, and when it is restarted."""


@dataclass(slots=True)
class Scene:
    """The running system and its cluster."""

    system: RunningSystem
    cluster: ThreeBrokers

    async def is_whole(self) -> bool:
        """Whether all copies are in sync."""
        return await all_in_sync(self.system.settings)

    @asynccontextmanager
    async def load(self) -> AsyncIterator[Standstill]:
        """Deliveries and answers while all positions are watched; tells how long the slowest stood still."""
        await until(self.is_whole, "all copies to be in sync")
        pids = {service: self.system.supervisor.pid(service) for service in SERVICES}
        async with self.system.load(_RATE), watched(self.system.settings) as seen:
            await asyncio.sleep(5)
            yield seen
            await self.goes_on(seen)
        for service in SERVICES:
            mine = {r: s for r, s in seen.longest.items() if r.service == service}
            worst = max(mine, key=mine.__getitem__)
            anew = ", began anew" if self.system.supervisor.pid(service) != pids[service] else ""
            print(f"{service}: {worst.topic}/{worst.part} stood still for {mine[worst]:.1f} s{anew}")

    async def goes_on(self, seen: Standstill) -> None:
        """Return when every partition was read on after now."""
        now = time.monotonic()

        async def all_moved() -> bool:
            return not seen.still_since(now + 0.5)

        async def who_stands_still() -> str:
            return str([tuple(reading) for reading in seen.still_since(now + 0.5)])

        took = await until(all_moved, "every partition to be read on", seconds=_SOON, tell=who_stands_still)
        print(f"every partition was read on after {took:.1f} s")


@pytest.fixture(scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    folder = tmp_path_factory.mktemp("three-brokers")
    postgres = EmbeddedPostgres(folder / "postgres")
    with three_brokers(folder) as cluster:
        postgres.start()
        try:
            system = await RunningSystem.start(
                folder,
                Servers(postgres, cluster.brokers[1]),
                KVITTERA_KAFKA_BOOTSTRAP=cluster.bootstrap,
                KVITTERA_KAFKA_REPLICATION="3",
            )
            try:
                yield Scene(system, cluster)
            finally:
                await system.end()
        finally:
            postgres.stop()


async def test_a_leader_that_is_killed_and_comes_back_takes_nothing_with_it(scene: Scene) -> None:
    victim = await leads_most(scene.system.settings)
    async with scene.load() as seen:
        scene.cluster.kill(victim)
        await scene.goes_on(seen)  # without it
        await asyncio.sleep(10)
        await scene.cluster.start_again(victim)
        await until(scene.is_whole, "all copies to be in sync")
    await scene.system.check()


async def test_the_keeper_of_the_groups_is_killed_and_stays_away(scene: Scene) -> None:
    victim = await coordinator_of(scene.system.settings, GROUP)
    async with scene.load() as seen:
        scene.cluster.kill(victim)
        await scene.goes_on(seen)
    await scene.system.check()  # with two of three
    await scene.cluster.start_again(victim)


async def test_all_brokers_are_restarted_one_after_another(scene: Scene) -> None:
    async with scene.load() as seen:
        for number in NUMBERS:
            began = time.monotonic()
            await asyncio.to_thread(scene.cluster.brokers[number].stop)
            print(f"broker {number} ended within {time.monotonic() - began:.1f} s")
            await scene.cluster.start_again(number)
            took = await until(scene.is_whole, "all copies to be in sync")
            print(f"broker {number} was in sync {took:.1f} s after its start")
            await scene.goes_on(seen)
    assert seen.worst < _RESTART
    await scene.system.check()


@asynccontextmanager
async def writing_to(settings: Settings, leader: int) -> AsyncIterator[Callable[[], Awaitable[bool]]]:
    """Write as our services do to a partition that nobody reads; each call tells whether it was acknowledged."""
    card = replace(CARDS["feedback.praise.v1"], name=f"{uuid.uuid4().hex[:8]}.praise.v1")
    await apply_topics(settings, [card])
    [partition] = [p["partition"] for p in await partitions_now(settings, [card.name]) if p["leader"] == leader]
    producer = make_producer(settings, client="fault-tests")
    await producer.start()

    async def acknowledged() -> bool:
        sent = await producer.send(card.name, b"{}", partition=partition)
        return bool((await asyncio.wait([sent], timeout=8))[0])

    try:
        yield acknowledged
    finally:
        await stop_producer(producer, 5)


async def test_nothing_is_acknowledged_by_a_lone_broker_and_all_goes_on_once_there_are_two(scene: Scene) -> None:
    lone = await leads_most(scene.system.settings)
    first, second = (n for n in NUMBERS if n != lone)
    system = scene.system
    async with scene.load() as seen, writing_to(system.settings, lone) as acknowledged:
        assert await acknowledged()
        scene.cluster.kill(first, second)
        await asyncio.sleep(2)
        before, changed = dict(seen.positions), system.minds.changed

        async def answers_are_saved_on() -> bool:
            return system.minds.changed > changed + 20

        assert not await acknowledged()
        await until(answers_are_saved_on, "answers to be saved")
        assert seen.positions == before  # nobody reads what one broker alone has
        await scene.cluster.start_again(first)
        await scene.goes_on(seen)
        await asyncio.sleep(3)
        await scene.cluster.start_again(second)
        await until(scene.is_whole, "all copies to be in sync")
    await system.check()


async def test_a_leader_that_stands_still_and_wakes_up_replaced_loses_and_doubles_nothing(scene: Scene) -> None:
    victim = await leads_most(scene.system.settings)
    async with scene.load() as seen:
        scene.cluster.pause(victim)
        await asyncio.sleep(15)
        scene.cluster.wake(victim)
        await scene.goes_on(seen)
        await until(scene.is_whole, "all copies to be in sync")
    await scene.system.check()


async def test_a_broker_that_says_nothing_any_more_is_done_without(scene: Scene) -> None:
    """As if its machine had lost its power or its network: connections stay open, and nothing comes."""
    victim = await leads_most(scene.system.settings)
    async with scene.load() as seen:
        scene.cluster.pause(victim)
        await scene.goes_on(seen)
        scene.cluster.wake(victim)
        await scene.goes_on(seen)
        await until(scene.is_whole, "all copies to be in sync")
    await scene.system.check()


async def test_the_doctor_tells_which_brokers_are_away(scene: Scene) -> None:
    async def told() -> dict[str, tuple[str, str]]:
        found = await examine(scene.system.settings, [kafka, topics, partitions, rights])
        return {f.what: (f.verdict, f.found) for f in found if f.what != "Kafka access"}

    async def one_is_missed() -> bool:
        return "Kafka copies" in await told()

    await until(scene.is_whole, "all copies to be in sync")
    whole = await told()
    assert whole.pop("topics") == ("well", f"all {len(CARDS)} are as their cards say")
    assert whole.pop("Kafka") == ("well", "3 brokers answer")
    assert {what: verdict for what, (verdict, _) in whole.items()} == {
        "Kafka partitions": "well",
        "Kafka rights": "well",
    }
    scene.cluster.kill(1)
    await until(one_is_missed, "Kafka to notice that a broker is dead")
    without = await told()
    assert without["Kafka"] == ("well", "2 brokers answer")
    assert without["Kafka copies"] == ("look", "2 brokers, KVITTERA_KAFKA_REPLICATION=3")
    assert without["Kafka partitions"][0] == "look"
    scene.cluster.kill(2)  # nobody is left to notice it
    lone = await told()
    assert lone["Kafka"] == ("ill", f"1 of 2 brokers do not answer: {scene.cluster.brokers[2].bootstrap}")
    await scene.cluster.start_again(1, 2)
    await until(scene.is_whole, "all copies to be in sync")
    await scene.system.check()
