"""Taps at full speed while the survey or PostgreSQL is killed: what got 200 is in both tables."""

import asyncio
import contextlib
import uuid
from collections.abc import Iterator

import pytest

from services.chassis.postgres import connect
from tests.benchmarks.invitations import Invited, count_kept, invite
from tests.conftest import SEALING_KEY
from tests.faults.running_system import RunningSystem, until

_TAPPERS = 32


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
