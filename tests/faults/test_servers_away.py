"""Kafka and PostgreSQL die under the services, and come back with what they had."""

import asyncio

from services.demo.supervisor import SERVICES
from tests.faults.running_system import RunningSystem, until


async def test_answers_are_acknowledged_while_kafka_is_down_and_counted_afterwards(system: RunningSystem) -> None:
    async with system.load(rate=30):
        await asyncio.sleep(4)
        system.servers.kafka.kill()
        await asyncio.sleep(1)  # what was on its way has arrived or failed
        changed = system.changed
        await asyncio.sleep(6)
        acknowledged = system.changed - changed
        counted = await system.number("aggregator", "SELECT sum(revision) FROM answer")
        await system.restart_kafka()
        assert acknowledged > 20

        async def counting_again() -> bool:
            return await system.number("aggregator", "SELECT sum(revision) FROM answer") > counted + acknowledged

        await until(counting_again, "the answers of the outage to be counted")
    await system.check()


async def test_no_answer_is_acknowledged_that_a_crash_of_postgresql_takes_away(system: RunningSystem) -> None:
    async with system.load(rate=30):
        for pause in (3, 2):
            await asyncio.sleep(pause)
            await asyncio.to_thread(system.servers.postgres.stop, "immediate")
            await asyncio.sleep(1)
            await system.restart_postgres()
        changed = system.changed

        async def answering_again() -> bool:
            return system.changed > changed + 10

        await until(answering_again, "answers to be acknowledged again")
    await system.check()


async def test_services_end_by_themselves_while_kafka_is_down(system: RunningSystem) -> None:
    async with system.load(rate=30):
        await asyncio.sleep(2)
        system.servers.kafka.kill()
        await asyncio.sleep(1)
        ended = await asyncio.gather(*(system.deploy(service) for service in SERVICES))
        await system.restart_kafka()
    assert ended == [0, 0, 0]
    await system.check()
