"""A counter that dies at any statement of a batch, again and again: what its heir counts is counted once (guarantee 2).

A death cuts the connection as a killed process does: PostgreSQL rolls back what was not committed.
`COUNTING_DEATHS` says how often every boundary is tried.
"""

import os

import pytest

from schemas.topics import INVITATION_DECIDED
from services.aggregator.counting import stored_answers, stored_cells
from services.aggregator.counting.reading import TOPICS
from services.chassis.postgres import Pool
from tests.counted_topics import records
from tests.counting import audit, pool, table
from tests.drawn_records import Batch, counting
from tests.dying_pool import DyingPool
from tests.harness import begin, record
from tests.integration.test_killed_counters import from_the_start

__all__ = ["pool"]
pytestmark = pytest.mark.service("aggregator")
TIMES = int(os.environ.get("COUNTING_DEATHS", "1"))


async def put_aside(pool: Pool) -> int:
    found: int = await pool.fetchval("SELECT count(*) FROM outbox WHERE raw_headers IS NOT NULL")
    return found


async def anew(pool: Pool) -> None:
    await from_the_start(pool)
    await pool.execute("TRUNCATE unit RESTART IDENTITY")


@pytest.mark.parametrize("seed", range(TIMES))
async def test_a_counter_that_dies_between_any_two_statements_has_counted_all_of_a_batch_or_nothing(
    pool: Pool, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (stored_answers, stored_cells):
        monkeypatch.setattr(module, "_MANY", 1)  # so that every statement is made
    parts = {topic: await begin(pool, topic) for topic in TOPICS}
    told: Batch = {part: [] for part in parts.values()}
    for topic, _, value in records(700 + seed, 6)[:-1]:  # the last of them is broken, and put aside with the batch
        told[parts[topic]].append(record(topic, len(told[parts[topic]]), value))
    # A few cells are there already: the batch finds old ones and new ones.
    [first] = [{part: found[:1]} for part, found in told.items() if part.topic == INVITATION_DECIDED]
    await counting(pool).take(first)
    before = await table(pool)
    await counting(pool).take(told)
    expected = await table(pool)
    assert 0 < len(before) < len(expected)
    deaths = 0
    while True:
        await anew(pool)
        await counting(pool).take(first)
        dying = DyingPool(pool, deaths)
        try:
            await counting(dying).take(told)
        except Exception:  # noqa: BLE001  whatever a cut connection makes of it
            assert dying.left == 0
            assert await table(pool) == before
            assert await pool.fetchval("SELECT count(*) FROM answer") == 0
            assert await put_aside(pool) == 0
            assert await pool.fetchval("SELECT sum(next)::int FROM progress") == 1
        else:
            break
        deaths += 1
        await counting(pool).take(told)
        assert await table(pool) == expected
        assert await put_aside(pool) == 1
        assert await audit(pool) == []
    await counting(pool).take(told)  # committed, and brought again by whoever did not hear of it
    assert await table(pool) == expected
    assert await put_aside(pool) == 1
    assert deaths >= 13
