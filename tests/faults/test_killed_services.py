"""Services that die at any moment, and come back."""

import asyncio
import random
from collections.abc import Callable

import pytest

from services.demo.supervisor import SERVICES
from tests.faults.running_system import RunningSystem
from tests.faults.waiting import until


async def test_services_killed_again_and_again_under_load_lose_nothing_and_double_nothing(
    system: RunningSystem,
) -> None:
    dice = random.Random(11)
    victims = [service for service in SERVICES for _ in range(2)]
    dice.shuffle(victims)
    with system.second("aggregator"), system.second("notifier"), system.second("survey"):
        async with system.load(rate=30):
            await asyncio.sleep(3)
            for service in victims:
                system.supervisor.kill(service)
                await asyncio.sleep(dice.uniform(1.5, 3))
        assert all(n >= 2 for n in system.supervisor.kills.values())
        await system.check()


@pytest.mark.parametrize(
    ("service", "progress"),
    [
        ("notifier", "SELECT count(*) FROM decision"),
        ("survey", "SELECT sum(revision) FROM response"),
        ("aggregator", "SELECT sum(revision) FROM answer"),
    ],
)
async def test_a_killed_service_works_on_within_seconds(
    system: RunningSystem, service: str, progress: str, record_property: Callable[[str, object], None]
) -> None:
    async with system.load(rate=30):
        await asyncio.sleep(2)
        system.supervisor.kill(service)
        before = await system.number(service, progress)

        async def moved() -> bool:
            return await system.number(service, progress) > before

        seconds = await until(moved, f"the {service} to work on")
    record_property("seconds_to_recover", round(seconds, 2))
    print(f"the {service} worked on {seconds:.1f} s after kill -9")


async def test_deploys_under_load_end_by_themselves_and_lose_nothing(system: RunningSystem) -> None:
    async with system.load(rate=30):
        for service in (*SERVICES, *SERVICES):
            await asyncio.sleep(1)
            assert await system.deploy(service) == 0, service
        await asyncio.sleep(1)
    await system.check()
