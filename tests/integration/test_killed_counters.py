"""Counters that are ended by kill -9 at any moment: every cell is what its answers say, five times a second.

`COUNTING_KILLS` says how many are killed.
"""

import asyncio
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest

from services.aggregator.counting.reading import TOPICS
from services.chassis.postgres import Pool
from services.chassis.settings import Settings
from tests.counting import audit, clear, pool, table
from tests.drawn_records import begun_at, chunks, counting, drawn, listed
from tests.harness import begin
from tests.oracle import Watch

__all__ = ["pool"]
pytestmark = pytest.mark.service("aggregator")
KILLS = int(os.environ.get("COUNTING_KILLS", "6"))
SEED, ANSWERS = 900, 60
MOST_BATCHES = 4
LONGEST = 0.02
"""Seconds that a counter lives after it began its last batch; a batch takes it about half as long."""


@asynccontextmanager
async def doomed(settings: Settings, *, silent: bool = False) -> AsyncIterator[asyncio.subprocess.Process]:
    dsn = settings.postgres_dsn.get_secret_value()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.doomed_counter", dsn, str(SEED), str(ANSWERS)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL if silent else None,
    )
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        async with asyncio.timeout(10):
            await process.wait()


async def kill_one(process: asyncio.subprocess.Process, at_batch: int, after: float) -> None:
    """Let a counter live until it begins so many batches, or has counted all, and a moment longer."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"live\n")
    async with asyncio.timeout(60):
        while not (line := await process.stdout.readline()).startswith(b"counter "):
            assert line, "the process that forks counters has ended"
        while at_batch > 0 and await process.stdout.readline() != b"end\n":
            at_batch -= 1
    await asyncio.sleep(after)
    os.kill(int(line.split()[1]), signal.SIGKILL)


async def from_the_start(pool: Pool) -> None:
    """Forget all that was counted and put aside."""
    await clear(pool)
    await pool.execute("TRUNCATE outbox, outbox_waiting")
    await pool.execute("UPDATE progress SET next = 0")


@pytest.mark.timeout(120 + KILLS)
async def test_counters_killed_at_random_moments_lose_nothing_and_count_nothing_twice(
    pool: Pool, settings: Settings
) -> None:
    for topic in TOPICS:
        await begin(pool, topic)
    for batch in chunks(SEED, ANSWERS, {}):
        await counting(pool).take(batch)
    expected, whole = await table(pool), len(drawn(SEED, ANSWERS))
    assert expected
    dice, got_on, runs = random.Random(KILLS), 0, 0
    watch = Watch(settings, listed(SEED, ANSWERS))
    await from_the_start(pool)
    async with doomed(settings) as process, watch.looking(least=max(3, KILLS // 20)):
        for _ in range(KILLS):
            before = sum((await begun_at(pool)).values())
            await kill_one(process, dice.randint(0, MOST_BATCHES), dice.uniform(0, LONGEST))
            after = sum((await begun_at(pool)).values())
            assert after >= before
            got_on += after > before
            assert await audit(pool) == []
            if after == whole:
                assert await table(pool) == expected
                runs += 1
                await watch.between_looks(partial(from_the_start, pool))
        for batch in chunks(SEED, ANSWERS, await begun_at(pool)):
            await counting(pool).take(batch)
        await watch.sees()
    assert await table(pool) == expected
    print(
        f"{KILLS} counters killed, {got_on} after a commit of theirs; {runs + 1} times all was counted, once;"
        f" {watch.looks} looks meanwhile"
    )
    assert got_on > 0
