"""A thousand people look at the live page of one process: one statement for all, and everybody gets each change."""

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson
import pytest

from services.chassis.postgres import Pool
from services.chassis.settings import Settings
from services.embedded.ports import free_port
from tests.integration.test_live_scopes import count
from tests.live_server import Figures

pytestmark = pytest.mark.service("aggregator")
VIEWERS = 1000
FOR_ALL = 20.0
"""Seconds within which everybody must have heard; alone it is a tenth of one."""


@dataclass(slots=True)
class LiveServer:
    """A process that serves event streams."""

    port: int
    process: asyncio.subprocess.Process

    async def figures(self) -> Figures:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(b"figures\n")
        return Figures(**json.loads(await self.process.stdout.readline()))


@dataclass(slots=True)
class Viewer:
    """Somebody who looks, over a connection of their own."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    answers: int = -1
    updates: int = 0
    heard: float = 0.0

    async def look(self, until: int) -> None:
        """Read events until so many answers are told."""
        while self.answers < until:
            line = await self.reader.readline()
            assert line, "the stream has ended"
            if line.startswith(b"event: "):
                name = line[7:-1].decode()
                self.updates += name == "update"
            elif line.startswith(b"data: ") and name in {"snapshot", "update"}:
                total = orjson.loads(line[6:]).get("total")
                self.answers, self.heard = sum(total["scores"]) if total else 0, time.monotonic()


@asynccontextmanager
async def live_server(settings: Settings) -> AsyncIterator[LiveServer]:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.live_server", settings.postgres_dsn.get_secret_value(), str(port)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    server = LiveServer(port, process)
    try:
        async with asyncio.timeout(30):
            await server.figures()
            yield server
    finally:
        assert process.stdin is not None
        process.stdin.close()
        async with asyncio.timeout(10):
            await process.wait()


async def viewer(port: int) -> Viewer:
    while True:
        with contextlib.suppress(ConnectionRefusedError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
            break
        await asyncio.sleep(0.02)
    writer.write(b"GET /live/events HTTP/1.1\r\nhost: x\r\n\r\n")
    return Viewer(reader, writer)


async def test_a_thousand_viewers_of_one_process_cost_one_statement_a_look_and_all_hear_of_each_answer(
    pool: Pool, settings: Settings
) -> None:
    now = datetime.now(UTC)
    await count(pool, now, "home_day", 9, 1)
    async with live_server(settings) as server:
        alone = await server.figures()
        viewers = [await viewer(server.port) for _ in range(VIEWERS)]
        async with asyncio.timeout(FOR_ALL):
            await asyncio.gather(*(v.look(10) for v in viewers))
        for v in viewers:
            v.updates = 0
        before, delays = await server.figures(), []
        for told in range(11, 16):
            began = time.monotonic()
            await count(pool, now, "home_day", 1, 0)
            async with asyncio.timeout(FOR_ALL):
                await asyncio.gather(*(v.look(told) for v in viewers))
            delays.append(max(v.heard for v in viewers) - began)
        after = await server.figures()
        for v in viewers:
            v.writer.transport.abort()
    ticks = after.ticks - before.ticks
    print(
        f"{VIEWERS} viewers: {(after.cpu - before.cpu) / ticks * 1000:.0f} ms of processor time a look, {ticks} looks,"
        f" the last hears {max(delays) * 1000:.0f} ms after the count began (best {min(delays) * 1000:.0f}),"
        f" {after.memory:.0f} MiB, with nobody {alone.memory:.0f}"
    )
    assert before.watchers == after.watchers == VIEWERS
    assert ticks >= 5
    assert abs(after.statements - before.statements - ticks) <= 1  # a look may be under way
    assert {v.updates for v in viewers} == {5}
