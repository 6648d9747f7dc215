"""While `kvittera cuts` holds every batch up, aggregators wait for it and go on afterwards: none of them ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from schemas.topics import CARDS
from services.aggregator.counting.cuts import read_cuts
from services.aggregator.counting.stored_cuts import StoredCuts
from services.chassis.postgres import Pool, connect, named_sql
from services.chassis.settings import Settings
from services.chassis.topic_admin import apply_topics
from tests.counted_topics import records, send
from tests.counter_processes import Counters, all_counted, following, positions
from tests.counting import audit, pool
from tests.harness import kafka_work_ended

__all__ = ["pool"]
pytestmark = pytest.mark.service("aggregator")
STALL = 2.0


@asynccontextmanager
async def changing(settings: Settings) -> AsyncIterator[None]:
    """What a plan and a switch hold while they fold what was counted."""
    sql = named_sql("services.aggregator", "cuts.sql")
    connection = await connect(settings, "aggregator")
    try:
        async with connection.transaction():
            await connection.execute(sql["lock_cuts"])
            await connection.execute(sql["hold_counting"])
            yield
    finally:
        await connection.close()


async def test_an_aggregator_waits_for_a_change_of_cuts_for_longer_than_it_would_stand_still(
    settings: Settings, pool: Pool, tmp_path: Path
) -> None:
    await apply_topics(settings, tuple(CARDS.values()))
    counters = Counters(tmp_path, settings, settings.kafka_bootstrap, settings.postgres_dsn.get_secret_value())
    try:
        counters.start("a", STALL_SECONDS=str(STALL))
        await counters.ready("a")
        with kafka_work_ended():
            async with following(settings) as followed:
                await send(settings, records(6, 5))
                await all_counted(settings, followed, moves_within=30)
                held = await positions(settings)
                async with changing(settings):
                    await send(settings, records(7, 20))
                    await asyncio.sleep(4 * STALL)
                    assert counters.running["a"].poll() is None, counters.last_words("a")
                    assert await positions(settings) == held != await followed.ends()
                await all_counted(settings, followed, moves_within=30)
        assert await counters.end("a") == [0]
    finally:
        await counters.kill()
    assert await audit(pool) == []


async def test_only_a_change_of_cuts_tells_that_batches_are_held_up(settings: Settings, pool: Pool) -> None:
    stored = StoredCuts()
    assert not await stored.are_held(pool)
    async with changing(settings):
        assert await stored.are_held(pool)
    async with pool.acquire() as connection, connection.transaction():
        assert await stored.version(connection) == 1  # as a batch does
        assert not await stored.are_held(pool)


async def test_a_start_waits_for_a_change_of_cuts_longer_than_for_any_other_statement(
    settings: Settings, pool: Pool
) -> None:
    assert await pool.fetchval("SELECT count(*) FROM counting") == 1
    connection = await connect(settings, "aggregator", command_timeout=0.5)
    async with changing(settings):
        start = asyncio.create_task(StoredCuts().agree(connection, built_in := read_cuts(None)))
        await asyncio.sleep(1.5)
        assert not start.done()
    assert await start is built_in
    await connection.close()
