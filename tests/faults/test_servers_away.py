"""Kafka and PostgreSQL die under the services, and come back with what they had."""

import asyncio
import contextlib
import uuid
from collections.abc import Iterator

import pytest

from services.chassis.postgres import connect
from services.demo.supervisor import SERVICES
from tests.benchmarks.invitations import Invited, count_kept, invite
from tests.conftest import SEALING_KEY
from tests.faults.running_system import RunningSystem
from tests.faults.waiting import until

_TAPPERS = 32


async def test_answers_are_acknowledged_while_kafka_is_down_and_counted_afterwards(system: RunningSystem) -> None:
    async with system.load(rate=30):
        await asyncio.sleep(4)
        system.servers.kafka.kill()
        await asyncio.sleep(1)  # what was on its way has arrived or failed
        changed = system.minds.changed
        await asyncio.sleep(6)
        acknowledged = system.minds.changed - changed
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
        changed = system.minds.changed

        async def answering_again() -> bool:
            return system.minds.changed > changed + 10

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


async def tap_on(port: int, waiting: Iterator[tuple[uuid.UUID, bytes]], acknowledged: list[uuid.UUID]) -> None:
    """Tap for one person after the other; a server that is away is tried again, a person whose tap failed is not."""
    for invitation, request in waiting:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
            async with asyncio.timeout(5):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                try:
                    writer.write(request)
                    if (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200"):
                        acknowledged.append(invitation)
                        continue
                finally:
                    writer.transport.abort()
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("victim", ["survey", "postgres"])
async def test_no_tap_is_acknowledged_that_a_kill_takes_away(system: RunningSystem, victim: str) -> None:
    """Last of the module: its recipients are unknown to the system, whose books no longer balance."""
    connection = await connect(system.settings, "survey")
    invited: Invited = await invite(connection, 40_000)
    await connection.close()
    acknowledged: list[uuid.UUID] = []
    waiting = zip(invited.ids, invited.taps(SEALING_KEY), strict=True)
    port = system.settings.survey_port
    tapping = [asyncio.create_task(tap_on(port, waiting, acknowledged)) for _ in range(_TAPPERS)]

    async def more_acknowledged() -> None:
        before = len(acknowledged)

        async def some() -> bool:
            return len(acknowledged) > before + 200

        await until(some, "taps to be acknowledged")

    for _ in range(2):
        await more_acknowledged()
        if victim == "survey":
            system.supervisor.kill("survey")
        else:
            await asyncio.to_thread(system.servers.postgres.stop, "immediate")
            await system.restart_postgres()
    await more_acknowledged()
    for task in tapping:
        task.cancel()
    await asyncio.gather(*tapping, return_exceptions=True)
    connection = await connect(system.settings, "survey")
    assert await count_kept(connection, acknowledged) == len(acknowledged) > 400
    await connection.close()
