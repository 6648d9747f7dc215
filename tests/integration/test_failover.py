"""PostgreSQL dies while answers are counted and its standby takes over: all that was committed is there, once."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr

from services.aggregator.counting.cuts import read_cuts
from services.aggregator.counting.reading import TOPICS
from services.aggregator.counting.stored_cuts import StoredCuts
from services.chassis.failures import is_transient
from services.chassis.known_server import KnownServer
from services.chassis.pauses import pauses
from services.chassis.postgres import Pool, connect, migrate, open_pool
from services.chassis.settings import Settings
from services.embedded.postgres import EmbeddedPostgres
from tests.conftest import SEALING_KEY
from tests.counting import audit, table
from tests.drawn_records import Batch, begun_at, chunks, counting, drawn, listed
from tests.harness import begin
from tests.integration.test_killed_counters import from_the_start
from tests.oracle import Watch
from tests.tables import make_incoming

SEED, ANSWERS = 910, 60
KILLED_AT = 100


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[tuple[EmbeddedPostgres, EmbeddedPostgres]]:
    """A primary that waits with each commit until its standby has it, and the standby."""
    primary, standby = EmbeddedPostgres(tmp_path / "first"), EmbeddedPostgres(tmp_path / "second")
    primary.start()
    try:
        await asyncio.to_thread(copy, primary, standby)
        standby.start()
        connection = await asyncpg.connect(primary.dsn())
        await connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        await connection.execute("SELECT pg_reload_conf()")
        await connection.close()
        yield primary, standby
    finally:
        primary.stop("immediate")
        standby.stop("immediate")


def copy(primary: EmbeddedPostgres, standby: EmbeddedPostgres) -> None:
    """The standby's data as `pg_basebackup` makes it, with the address of the primary."""
    standby._data = standby._place_data()
    address = ["-h", "127.0.0.1", "-p", str(primary.port), "-U", "postgres"]
    words: list[str | Path] = [primary.binary("pg_basebackup"), *address, "-D", standby.data, "-c", "fast", "-R"]
    subprocess.run(words, check=True, capture_output=True)
    if standby._account is not None:
        subprocess.run(["chown", "-R", standby._account.name, standby.data], check=True)


async def counter(settings: Settings) -> Pool:
    return await open_pool(settings, "aggregator", prepare=make_incoming, known=KnownServer())


async def count(pool: Pool, batches: list[Batch], acknowledged: list[int]) -> None:
    """Count as a reader does: what fails for a passing reason is tried again; notes how many records are committed."""
    fence = counting(pool)
    for batch in batches:
        for pause in pauses(longest=0.2):
            try:
                await fence.take(batch)
            except Exception as error:
                if not is_transient(error):
                    raise
                await asyncio.sleep(pause)
            else:
                acknowledged.append(sum(map(len, batch.values())))
                break


async def test_a_standby_that_takes_over_has_all_that_was_counted_and_counting_goes_on(
    servers: tuple[EmbeddedPostgres, EmbeddedPostgres],
) -> None:
    primary, standby = servers
    dsn = f"postgresql://postgres@127.0.0.1:{primary.port},127.0.0.1:{standby.port}/kvittera"
    settings = Settings(postgres_dsn=SecretStr(dsn), sealing_key=SecretStr(SEALING_KEY))
    connection = await connect(settings, "aggregator")
    await migrate(connection, "aggregator", "services.aggregator")
    await StoredCuts().agree(connection, read_cuts(None))
    await connection.close()
    pool = await counter(settings)
    for topic in TOPICS:
        await begin(pool, topic)
    batches, acknowledged = list(chunks(SEED, ANSWERS, {})), list[int]()
    watch = Watch(settings, listed(SEED, ANSWERS))
    async with watch.looking(least=4):
        await watch.sees()
        work = asyncio.create_task(count(pool, batches, acknowledged))
        async with asyncio.timeout(60):
            while sum(acknowledged) < KILLED_AT:
                await asyncio.sleep(0.002)
        await asyncio.to_thread(primary.kill)
        committed = sum(acknowledged)
        taking_over = await asyncpg.connect(standby.dsn(), server_settings={"search_path": "aggregator"})
        assert await taking_over.fetchval("SELECT pg_promote()")
        assert await taking_over.fetchval("SELECT sum(next) FROM progress") >= committed
        await taking_over.close()
        async with asyncio.timeout(60):
            await work
        await watch.sees()  # at the other server
    assert sum((await begun_at(pool)).values()) == sum(acknowledged) == len(drawn(SEED, ANSWERS)) > committed
    found = await table(pool)
    assert await audit(pool) == []
    await from_the_start(pool)
    await count(pool, batches, [])
    assert found == await table(pool)
    pool.terminate()
