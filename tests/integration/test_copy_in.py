"""Rows that are sent to PostgreSQL by COPY arrive, however many, and nothing keeps what was sent."""

import gc
import sys

import asyncpg
import numpy as np
import pytest

from services.chassis.bigint_copy import packed, write_rows
from services.chassis.copy_in import copy_in
from services.chassis.postgres import Pool

pytestmark = pytest.mark.service("aggregator")
FEW, MANY = 3, 100_000


@pytest.mark.parametrize("count", [0, FEW, MANY])
async def test_rows_arrive_in_one_message_or_in_several(pool: Pool, count: int) -> None:
    rows = np.arange(2 * count, dtype=np.int64).reshape(count, 2)
    async with pool.acquire() as connection:
        await connection.execute("CREATE TEMPORARY TABLE told (a bigint, b bigint)")
        await write_rows(connection, "told", ["a", "b"], rows)
        found = await connection.fetchrow("SELECT count(*), sum(a)::bigint, sum(b)::bigint FROM told")
    assert tuple(found or ()) == (count, int(rows[:, 0].sum()) if count else None, int(rows[:, 1].sum()) or None)


@pytest.mark.parametrize("count", [FEW, MANY])
async def test_nothing_keeps_what_was_sent(pool: Pool, count: int) -> None:
    told = packed(np.zeros((count, 2), np.int64))
    holders = sys.getrefcount(told)
    gc.disable()
    try:
        async with pool.acquire() as connection:
            await connection.execute("CREATE TEMPORARY TABLE told (a bigint, b bigint)")
            await copy_in(connection, "told", ["a", "b"], told)
            assert sys.getrefcount(told) == holders
    finally:
        gc.enable()


@pytest.mark.parametrize("count", [FEW, MANY])
async def test_a_connection_goes_on_where_rows_are_refused(pool: Pool, count: int) -> None:
    async with pool.acquire() as connection:
        await connection.execute("CREATE TEMPORARY TABLE told (a bigint UNIQUE)")
        with pytest.raises(asyncpg.UniqueViolationError):
            await write_rows(connection, "told", ["a"], np.zeros((count, 1), np.int64))
        assert await connection.fetchval("SELECT count(*) FROM told") == 0
