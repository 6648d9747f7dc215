"""Services that die at any moment, and come back."""

import asyncio
import random

from services.demo.supervisor import SERVICES
from tests.faults.running_system import RunningSystem


async def test_services_killed_again_and_again_under_load_lose_nothing_and_double_nothing(
    system: RunningSystem,
) -> None:
    dice = random.Random(11)
    victims = [service for service in SERVICES for _ in range(3)]
    dice.shuffle(victims)
    with system.second("aggregator"), system.second("notifier"):
        async with system.load(rate=60):
            await asyncio.sleep(3)
            for service in victims:
                system.supervisor.kill(service)
                await asyncio.sleep(dice.uniform(1.5, 3))
        assert all(n >= 3 for n in system.supervisor.kills.values())
        await system.check()
