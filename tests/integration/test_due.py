"""What notifiers are scaled by: requests that could leave now, and nothing that waits for another reason."""

import asyncio

import pytest

from services.chassis.metrics import Metrics
from services.chassis.postgres import Pool
from services.notifier.due import MOST_COUNTED, count_due, measure_due
from tests.harness import until
from tests.sending import plan

pytestmark = pytest.mark.service("notifier")

READ = """
    SELECT sum(pg_stat_get_xact_tuples_returned(oid))::int FROM pg_class
    WHERE oid = 'open_send'::regclass OR oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = 'open_send'::regclass)
"""
"""Rows of the table, and entries of its indexes, that a connection has read lately."""


def waiting(n: int, channel: str, state: str, at: str) -> str:
    return (
        "INSERT INTO open_send (invitation_id, channel, state, at)"
        f" SELECT uuidv7(), '{channel}', '{state}', {at} FROM generate_series(1, {n})"
    )


DUE = waiting(3, "email", "planned", "now() - interval '1 minute'")
FOR_THE_MORNING = waiting(20_000, "sms", "planned", "now() + interval '8 hours'")
MANY_DUE = waiting(15_000, "sms", "planned", "now()")
# In no order, so that PostgreSQL would rather go through the table, or through all that it takes to be due.
A_FEW_DUE = waiting(40_000, "sms", "planned", "now() + (random() - 0.03) * interval '1 day'")
ALL_DUE = waiting(20_000, "sms", "planned", "now() - random() * interval '1 day'")
STATISTICS = "ANALYZE open_send"


async def counted(pool: Pool, cap: int | None = None) -> int:
    async with pool.acquire() as connection:
        return await count_due(connection, cap)


async def test_what_is_due_counts_and_what_is_planned_for_later_under_way_or_in_doubt_does_not(pool: Pool) -> None:
    await pool.execute(DUE)
    await pool.execute(waiting(2, "sms", "planned", "now()"))
    await pool.execute(waiting(5, "email", "planned", "now() + interval '8 hours'"))
    for state in ("claimed", "calling", "in_doubt"):
        await pool.execute(waiting(7, "email", state, "now() - interval '1 minute'"))
    assert await counted(pool) == 5


async def test_nothing_counts_while_sending_is_off_or_nobody_knows_whether_it_is(pool: Pool) -> None:
    await pool.execute(DUE)
    await pool.execute("UPDATE switch SET is_on = false WHERE name = 'sending'")
    assert await counted(pool) == 0
    await pool.execute("DELETE FROM switch")
    assert await counted(pool) == 0


@pytest.mark.parametrize(("cap", "may_leave"), [(None, 13), (600, 13), (4, 4 + 3), (1, 1 + 1)])
async def test_what_would_wait_for_the_cap_however_many_notifiers_there_were_does_not_count(
    pool: Pool, cap: int | None, may_leave: int
) -> None:
    await pool.execute(DUE)
    await pool.execute(waiting(10, "sms", "planned", "now()"))
    assert await counted(pool, cap) == may_leave


@pytest.mark.parametrize(
    ("history", "found"),
    [
        ((FOR_THE_MORNING,), 0),
        ((FOR_THE_MORNING, STATISTICS, DUE), 3),
        ((FOR_THE_MORNING, MANY_DUE), MOST_COUNTED),
        ((FOR_THE_MORNING, MANY_DUE, STATISTICS), MOST_COUNTED),
        ((FOR_THE_MORNING, STATISTICS, "UPDATE open_send SET at = now()"), MOST_COUNTED),
        ((A_FEW_DUE, STATISTICS, MANY_DUE), MOST_COUNTED),
        ((ALL_DUE, STATISTICS, "TRUNCATE open_send", FOR_THE_MORNING, DUE), 3),
    ],
    ids=[
        "night",
        "night and statistics",
        "many",
        "many and statistics",
        "statistics of the night",
        "statistics of a few",
        "statistics of the day",
    ],
)
async def test_however_much_waits_no_more_is_read_than_is_counted(
    pool: Pool, history: tuple[str, ...], found: int
) -> None:
    await pool.execute("ALTER TABLE open_send SET (autovacuum_enabled = false)")
    for statement in history:
        await pool.execute(statement)
    async with pool.acquire() as connection, connection.transaction():
        before = await connection.fetchval(READ)
        assert await count_due(connection, None) == found
        assert await connection.fetchval(READ) - before <= found + 10


async def test_the_gauge_follows_what_is_due_and_the_permission_to_send(pool: Pool) -> None:
    await plan(pool, 2)
    metrics, stop, permission = Metrics(), asyncio.Event(), [True]
    measuring = asyncio.create_task(measure_due(pool, metrics, stop, permitted=lambda: permission[0], every=0.01))

    async def shows(number: int) -> bool:
        assert not measuring.done()
        return metrics.registry.get_sample_value("kvittera_requests_due") == number

    await until(lambda: shows(2), seconds=10)
    await pool.execute("UPDATE invitation SET due_at = now() + interval '8 hours' WHERE delivery_id = 'D-0'")
    await until(lambda: shows(1), seconds=10)
    permission[0] = False
    await until(lambda: shows(0), seconds=10)
    stop.set()
    await measuring
