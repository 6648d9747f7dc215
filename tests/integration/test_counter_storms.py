"""Aggregators in processes of their own, cut off, restarted, paused and replaced: never wrong, never stuck.

They reach Kafka and PostgreSQL by lines that can be cut; whoever looks at the counters meanwhile reaches both directly.
"""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from schemas.topics import CARDS
from services.aggregator.counting.cuts import read_cuts
from services.aggregator.counting.reading import TOPICS
from services.aggregator.counting.stored_cuts import StoredCuts
from services.chassis.postgres import Pool
from services.chassis.settings import Settings
from services.chassis.topic_admin import apply_topics
from tests.counted_topics import make_topics_anew
from tests.counter_processes import Counters, Followed, all_counted, following, load, positions
from tests.cut_servers import Broker, broker_by_line, postgres_by_line
from tests.harness import until
from tests.network import Line
from tests.oracle import Watch

pytestmark = pytest.mark.service("aggregator")
PARTITIONS = 4
CUT_FOR = 4.0
SOON = 30.0
"""Seconds within which something is counted once a fault is over: KVITTERA_STALL_SECONDS."""
BURST = 0.5
STANDS_STILL = 75.0
"""Seconds within which a process that neither works nor ends is ended: 30 of its watch, 30 of the stall, the drain."""
FORGOTTEN = 60.0
"""Seconds after which PostgreSQL gives up a transaction that rests."""
RECONNECTED = 40.0
"""Seconds within which forgotten connections to Kafka are made anew: 10 of silence, and the group once more."""
SESSION = 10.0
"""Seconds after which Kafka gives the partitions of a silent member away."""


IN_TIME = {0, 1}
LONG = pytest.mark.skipif("LONG_CUTS" not in os.environ, reason="takes minutes: make test-faults")


@pytest.fixture(scope="module")
async def broker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Broker]:
    async with broker_by_line(tmp_path_factory.mktemp("kafka")) as found:
        yield found


@dataclass(slots=True)
class Scene:
    """Counters, what they read, and who looks at what they count."""

    settings: Settings
    broker: Broker
    postgres: Line
    counters: Counters
    records: Followed
    watch: Watch

    async def counts_again(self, within: float, *, or_ended: str = "") -> bool:
        """Wait until a record is counted, or a process has ended; returns whether it has, and says how long it took."""
        before, began = await positions(self.settings), time.monotonic()

        def ended() -> bool:
            return or_ended in self.counters.running and self.counters.running[or_ended].poll() is not None

        async def moved() -> bool:
            return ended() or await positions(self.settings) != before

        await until(moved, seconds=within)
        print(f"{'ended itself' if ended() else 'counted on'} after {time.monotonic() - began:.1f} s")
        return ended()

    async def ends_before_all_is_counted(self, name: str, moves_within: float) -> bool:
        """Wait until one process has counted all that came, or has ended; returns whether it has."""
        counted = asyncio.create_task(all_counted(self.settings, self.records, moves_within=moves_within))

        async def over() -> bool:
            return counted.done() or self.counters.running[name].poll() is not None

        try:
            await until(over, seconds=2 * moves_within)
            if counted.done():
                await counted
            return not counted.done()
        finally:
            counted.cancel()

    async def all_is_counted(self, moves_within: float = SOON) -> None:
        """Once no more records come."""
        await all_counted(self.settings, self.records, moves_within=moves_within)
        await self.watch.sees()


@pytest.fixture
async def scene(settings: Settings, pool: Pool, broker: Broker, tmp_path: Path) -> AsyncIterator[Scene]:
    async with pool.acquire() as connection:
        await StoredCuts().agree(connection, read_cuts(None))
    direct = settings.model_copy(
        update={"kafka_bootstrap": broker.kafka.bootstrap, "kafka_partitions": PARTITIONS, "kafka_replication": 1}
    )
    await apply_topics(direct, tuple(CARDS.values()))
    await make_topics_anew(direct, TOPICS)
    dsn = settings.postgres_dsn.get_secret_value()
    async with postgres_by_line(dsn) as (postgres, by_line), following(direct) as records:
        counters = Counters(tmp_path, direct, broker.by_line, by_line)
        try:
            yield Scene(direct, broker, postgres, counters, records, Watch(direct, records))
        finally:
            broker.line.heal()
            postgres.heal()
            await counters.kill()


@pytest.mark.parametrize("server", ["kafka", "postgres"])
async def test_a_counter_that_is_cut_off_goes_on_by_itself_when_the_line_is_whole(scene: Scene, server: str) -> None:
    cut = scene.broker.line if server == "kafka" else scene.postgres
    scene.counters.start("a")
    await scene.counters.ready("a")
    async with scene.watch.looking(least=15):
        async with load(scene.settings, 950 if server == "kafka" else 951):
            await scene.counts_again(SOON)
            cut.cut()
            await asyncio.sleep(0.5)
            before, looks = await positions(scene.settings), scene.watch.looks
            await asyncio.sleep(CUT_FOR)
            assert await positions(scene.settings) == before
            assert scene.watch.looks >= looks + CUT_FOR
            cut.heal()
        await scene.all_is_counted()
        assert await scene.counters.end("a") == [0]


@pytest.mark.parametrize("server_knows", [True, pytest.param(False, marks=LONG)])
async def test_a_counter_whose_connections_to_postgresql_are_forgotten_ends_itself_and_its_heir_goes_on(
    scene: Scene, server_knows: bool
) -> None:
    stall, drain = 3.0, 2.0
    scene.counters.start("a", STALL_SECONDS=str(stall), DRAIN_SECONDS=str(drain))
    await scene.counters.ready("a")
    async with scene.watch.looking(least=20):
        async with load(scene.settings, 952 if server_knows else 953):
            await scene.counts_again(SOON)
            scene.postgres.forget(server_knows=server_knows)
            assert await scene.counters.ends_by_itself("a", within=stall + drain + 15) == 1
            assert "nothing moves: starting anew" in scene.counters.last_words("a")
            scene.counters.start("a")
            await scene.counters.ready("a")
        # A server that does not know holds what was begun for a minute.
        await scene.all_is_counted(SOON if server_knows else FORGOTTEN + SOON)


@LONG
async def test_a_counter_whose_connections_to_kafka_are_forgotten_makes_new_ones_soon(scene: Scene) -> None:
    scene.counters.start("a")
    await scene.counters.ready("a")
    async with scene.watch.looking(least=30):
        async with load(scene.settings, 954):
            await scene.counts_again(SOON)
            scene.broker.line.forget(server_knows=False)
            await asyncio.sleep(1)
            assert not await scene.counts_again(RECONNECTED, or_ended="a")
        await scene.all_is_counted()


async def test_a_counter_that_gets_no_more_memory_goes_on_or_ends_itself_and_its_heir_goes_on(scene: Scene) -> None:
    scene.counters.start("a", LOG_MESSAGES="0")
    await scene.counters.ready("a")
    async with scene.watch.looking(least=15):
        async with load(scene.settings, 957):
            await scene.counts_again(SOON)
            scene.counters.leave_no_memory("a")
        # What comes now all at once needs more than there is.
        async with load(scene.settings, 958, every=0):
            await asyncio.sleep(BURST)
        await scene.watch.sees()
        if await scene.ends_before_all_is_counted("a", STANDS_STILL):
            scene.counters.start("a")
        await scene.all_is_counted()


async def test_a_broker_that_is_restarted_again_and_again_loses_and_doubles_nothing(scene: Scene) -> None:
    kafka = scene.broker.kafka
    scene.counters.start("a")
    await scene.counters.ready("a")
    async with scene.watch.looking(least=25):
        async with load(scene.settings, 955):
            for _ in range(2):
                await scene.watch.sees()
                await asyncio.to_thread(kafka.stop)
                kafka.launch()
                await asyncio.to_thread(kafka.wait_until_ready)
                await scene.counts_again(SOON)
        await scene.all_is_counted()
        assert await scene.counters.end("a") == [0]


async def test_a_storm_of_counters_one_of_them_paused_counts_everything_once(scene: Scene) -> None:
    counters = scene.counters
    async with scene.watch.looking(least=60):
        async with load(scene.settings, 956):
            counters.start("a")
            await counters.ready("a")
            counters.start("b", "c", "d", "e")  # of four partitions of a topic one has none
            await counters.ready("b", "c", "d", "e")
            counters.signal(signal.SIGSTOP, "e")
            paused = time.monotonic()
            # Whose group waits for the paused one is ended hard after the drain.
            assert set(await counters.end("b", "c")) <= IN_TIME
            await asyncio.sleep(paused + SESSION + 1 - time.monotonic())
            counters.signal(signal.SIGCONT, "e")
            await scene.watch.sees()
            assert set(await counters.end("d")) <= IN_TIME
            counters.start("b", "c")
            await counters.ready("b", "c")
        await scene.all_is_counted()
        assert set(await counters.end("a", "b", "c", "e")) <= IN_TIME
