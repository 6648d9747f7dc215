"""The network between the services and their servers is cut for half a minute, or forgets what was connected.

The services reach Kafka and PostgreSQL by lines; whoever judges them reaches both directly.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import pytest

from services.chassis.settings import PREFIX
from services.embedded.postgres import EmbeddedPostgres
from services.embedded.servers import Servers
from tests.cut_servers import broker_by_line, postgres_by_line
from tests.faults.running_system import RunningSystem
from tests.faults.waiting import until
from tests.network import Line

pytestmark = [
    pytest.mark.skipif("LONG_CUTS" not in os.environ, reason="takes minutes: make test-faults"),
    pytest.mark.timeout(600),
]
CUT_FOR = 25.0
SETTLED = 6.0
"""Seconds after which everybody has noticed that PostgreSQL says nothing."""
IN_TIME = 10.0
"""Seconds within which a person is told, also that nothing can be told: then the page's own script gives up."""
WORKS_AGAIN = 75.0
"""A stall of 30 s, the drain, and a start; without a forgotten transaction that rests."""
_SOME = 10
_COUNTED = "SELECT sum(revision) FROM answer"
_DECIDED = "SELECT count(*) FROM decision"


@dataclass(frozen=True, slots=True)
class Scene:
    """A running system, and its lines."""

    system: RunningSystem
    lines: dict[str, Line]

    async def runs_in(self) -> None:
        """Wait until people answer, and change their minds."""
        changed = self.system.minds.changed

        async def some_changed() -> bool:
            return self.system.minds.changed > changed + _SOME

        await until(some_changed, "people to answer")

    async def works_again(self) -> None:
        """Wait until deliveries are decided about and answers are counted that came just now; says how long it took."""
        counted = await self.system.number("aggregator", _COUNTED)
        decided = await self.system.number("notifier", _DECIDED)

        async def both_moved() -> bool:
            return (
                await self.system.number("aggregator", _COUNTED) > counted + _SOME
                and await self.system.number("notifier", _DECIDED) > decided + _SOME
            )

        took = await until(both_moved, "answers to be counted and deliveries decided about", seconds=WORKS_AGAIN)
        print(f"works again after {took:.1f} s")

    async def told(self, session: aiohttp.ClientSession) -> tuple[int, ...]:
        """What a person's page and both services' readiness say now, in time or not at all."""
        system = self.system
        link = system.recipients.recent[-1]["link"].rpartition("/")[2]
        urls = (
            f"{system.recipients.survey_url}/r/{link}",
            f"{system.recipients.survey_url}/health/ready",
            f"http://127.0.0.1:{system.settings.notifier_port}/health/ready",
        )

        async def status(url: str) -> int:
            async with session.get(url) as reply:
                return reply.status

        return tuple(await asyncio.gather(*map(status, urls)))


@pytest.fixture(scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    folder = tmp_path_factory.mktemp("cut")
    postgres = EmbeddedPostgres(folder / "postgres")
    postgres.prepare()
    postgres.launch()
    postgres.wait_until_ready()
    try:
        async with (
            broker_by_line(folder / "kafka", heap="384m") as broker,
            postgres_by_line(postgres.dsn()) as (line, dsn),
        ):
            servers = Servers(postgres, broker.kafka)
            reached_by = {PREFIX + "KAFKA_BOOTSTRAP": broker.by_line, PREFIX + "POSTGRES_DSN": dsn}
            system = await RunningSystem.start(folder, servers, reached_by=reached_by)
            try:
                yield Scene(system, {"kafka": broker.line, "postgres": line})
            finally:
                line.heal()
                broker.line.heal()
                await system.end()
    finally:
        postgres.stop()


async def test_people_are_told_in_time_while_postgresql_is_cut_off_and_nothing_is_lost_or_asked_twice(
    scene: Scene,
) -> None:
    system, line = scene.system, scene.lines["postgres"]
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=IN_TIME)) as session, system.load(rate=20):
        await asyncio.sleep(5)
        assert await scene.told(session) == (200, 200, 200)
        line.cut()
        healed_at = time.monotonic() + CUT_FOR
        await asyncio.sleep(SETTLED)
        found = []
        while time.monotonic() < healed_at:
            found.append(await scene.told(session))
            await asyncio.sleep(1)
        assert found == [(503, 503, 503)] * len(found)
        line.heal()
        await scene.works_again()
        assert await scene.told(session) == (200, 200, 200)
    await system.check()


async def test_people_answer_while_kafka_is_cut_off_and_nothing_is_lost_or_asked_twice(scene: Scene) -> None:
    system, line = scene.system, scene.lines["kafka"]
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=IN_TIME)) as session, system.load(rate=20):
        await asyncio.sleep(5)
        line.cut()
        changed = system.minds.changed
        for _ in range(5):
            await asyncio.sleep(CUT_FOR / 5)
            assert await scene.told(session) == (200, 200, 200)
        assert system.minds.changed > changed + 20
        line.heal()
        await scene.works_again()
    await system.check()


@pytest.mark.parametrize(("server", "server_knows"), [("kafka", True), ("kafka", False), ("postgres", True)])
async def test_a_network_that_forgets_connections_loses_nothing_and_asks_nobody_twice(
    scene: Scene, server: str, server_knows: bool
) -> None:
    async with scene.system.load(rate=20):
        await scene.runs_in()
        scene.lines[server].forget(server_knows=server_knows)
        await scene.works_again()
    await scene.system.check()
