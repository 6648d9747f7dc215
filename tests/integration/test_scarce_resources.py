"""Counters without memory and tables without room: nothing is lost, counted twice or put aside.

`COUNTING_STARVED` says how many counters run out of memory.
"""

import asyncio
import contextlib
import os
import random
import signal
import subprocess
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import asyncpg
import pytest

from services.aggregator.counting.reading import TOPICS
from services.chassis.failures import is_transient
from services.chassis.postgres import Pool
from services.chassis.settings import Settings
from services.embedded.unprivileged import account_instead_of_root
from tests.counting import audit, pool, table
from tests.drawn_records import begun_at, broken_below, chunks, counting, drawn, listed
from tests.harness import begin
from tests.integration.test_killed_counters import ANSWERS, SEED, doomed, from_the_start
from tests.oracle import Watch

__all__ = ["pool"]
pytestmark = pytest.mark.service("aggregator")
STARVED = int(os.environ.get("COUNTING_STARVED", "5"))
LEAST, DOUBLED = 1 << 12, 9
"""Bytes that a counter has left: from too few for a statement, doubled up to so often."""
MOST_BATCHES = 8
PATIENCE = 60.0
TABLES = ("cell", "answer", "decision")


async def counted_by_hand(pool: Pool) -> None:
    for batch in chunks(SEED, ANSWERS, await begun_at(pool)):
        await counting(pool).take(batch)


async def only_broken_ones_are_aside(pool: Pool) -> bool:
    found = await pool.fetchval("SELECT count(*) FROM outbox WHERE raw_headers IS NOT NULL")
    return bool(found == broken_below(SEED, ANSWERS, await begun_at(pool)))


async def starve_one(process: asyncio.subprocess.Process, memory: int, at_batch: int) -> int:
    """Let a counter run out of memory in a batch, or count all; returns how it ended."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"starve %d %d\n" % (memory, at_batch))
    pid = 0
    while True:
        try:
            async with asyncio.timeout(PATIENCE):
                line = await process.stdout.readline()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid or process.pid, signal.SIGKILL)
            raise AssertionError("a counter without memory neither works nor ends") from None
        match line.split():
            case [b"forked", told]:
                pid = int(told)
            case [b"end"]:
                assert pid, "the process that forks counters does not begin"
                with contextlib.suppress(ProcessLookupError):  # it has ended a moment ago
                    os.kill(pid, signal.SIGKILL)
            case [b"ended", code]:
                return int(code)
            case []:
                raise AssertionError("the process that forks counters has ended")


@pytest.mark.timeout(120 + 5 * STARVED)
async def test_counters_that_run_out_of_memory_lose_nothing_and_put_nothing_aside(
    pool: Pool, settings: Settings
) -> None:
    for topic in TOPICS:
        await begin(pool, topic)
    await counted_by_hand(pool)
    expected, whole = await table(pool), len(drawn(SEED, ANSWERS))
    dice, ends, got_on, runs = random.Random(STARVED), Counter[int](), 0, 0
    watch = Watch(settings, listed(SEED, ANSWERS))
    await from_the_start(pool)
    async with doomed(settings, silent=True) as process, watch.looking(least=STARVED):
        for _ in range(STARVED):
            before = sum((await begun_at(pool)).values())
            memory = int(LEAST * 2 ** dice.uniform(0, DOUBLED))
            ends[await starve_one(process, memory, dice.randint(1, MOST_BATCHES))] += 1
            after = sum((await begun_at(pool)).values())
            assert await audit(pool) == []
            assert await only_broken_ones_are_aside(pool)
            got_on += after > before
            if after == whole:
                assert await table(pool) == expected
                runs += 1
                await watch.between_looks(partial(from_the_start, pool))
        await counted_by_hand(pool)
        await watch.sees()
    print(
        f"counters ended with {dict(ends)}, {got_on} after a commit of theirs; {runs} times all was counted, once;"
        f" {watch.looks} looks meanwhile"
    )
    assert set(ends) - {0, -signal.SIGKILL}, "none ran out of memory"
    assert got_on > 0
    assert await table(pool) == expected


@asynccontextmanager
async def small_disk(pool: Pool, folder: Path) -> AsyncIterator[Path]:
    """The tables of counters on a disk of their own that has room for little; yields its folder."""
    folder.mkdir()
    account = account_instead_of_root()
    owner = f",uid={account.uid},gid={account.gid}" if account else ""
    mount = ["mount", "-t", "tmpfs", "-o", f"size=2m,mode=700{owner}", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("mounting a small disk is not allowed here")
    try:
        place = f"small_{folder.parent.name.replace('-', '_')}"
        await pool.execute(f"CREATE TABLESPACE {place} LOCATION '{folder}'")
        for name in TABLES:
            await pool.execute(f"ALTER TABLE {name} SET TABLESPACE {place}")
        yield folder
        for name in TABLES:
            await pool.execute(f"ALTER TABLE {name} SET TABLESPACE pg_default")
        await pool.execute(f"DROP TABLESPACE {place}")
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(ballast: Path) -> None:
    """Take what room is left."""
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass


async def test_a_full_disk_stops_counting_and_a_freed_one_lets_it_go_on(
    pool: Pool, settings: Settings, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> None:
    if request.config.getoption("--servers") == "containers":
        pytest.skip("the server in the container does not see our disks")
    for topic in TOPICS:
        await begin(pool, topic)
    await counted_by_hand(pool)
    expected = await table(pool)
    await from_the_start(pool)
    base = tmp_path_factory.mktemp("disk")
    for folder in (base, *base.parents):
        if folder.stat().st_uid == os.getuid() and not folder.stat().st_mode & 0o001:
            folder.chmod(folder.stat().st_mode | 0o011)  # the server's account passes through
    watch = Watch(settings, listed(SEED, ANSWERS))
    async with small_disk(pool, base / "small") as disk, watch.looking(least=8):
        fill(disk / "ballast")
        with pytest.raises(asyncpg.DiskFullError) as full:
            await counted_by_hand(pool)
        assert is_transient(full.value)
        before = sum((await begun_at(pool)).values())
        for _ in range(3):  # as a reader does, with pauses
            with pytest.raises(asyncpg.DiskFullError):
                await counted_by_hand(pool)
            await watch.sees()
        assert await only_broken_ones_are_aside(pool)
        assert sum((await begun_at(pool)).values()) == before
        (disk / "ballast").unlink()
        await counted_by_hand(pool)
        await watch.sees()
        assert (await table(pool), await audit(pool)) == (expected, [])
        assert await only_broken_ones_are_aside(pool)
