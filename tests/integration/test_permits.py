"""Calls in any minute and second are capped over all processes by permits that they take in the database."""

import asyncio
from dataclasses import replace
from itertools import chain, repeat

import pytest

from services.chassis.postgres import Pool
from services.chassis.settings import Settings
from services.notifier.claim import Claims
from tests.sending import (
    CAPPED,
    ScriptedChannel,
    dispatcher,
    plan,
    state_of,
    work,
)

pytestmark = pytest.mark.service("notifier")


async def age_calls(pool: Pool, seconds: int) -> None:
    """Let the clock of the caps run on: everything was so much earlier."""
    await pool.execute("UPDATE send_second SET second = second - $1", seconds)


async def test_of_a_thousand_due_at_once_sixty_leave_in_any_minute_over_three_dispatchers(
    pool: Pool, settings: Settings
) -> None:
    await plan(pool, 1000)
    channels = [ScriptedChannel() for _ in range(3)]
    senders = [dispatcher(pool, settings, c, CAPPED) for c in channels]

    async def left() -> int:
        before = sum(len(c.calls) for c in channels)
        while any(await asyncio.gather(*(work(s) for s in senders))):
            pass
        return sum(len(c.calls) for c in channels) - before

    assert await left() == 60
    await age_calls(pool, 40)
    assert await left() == 0
    await age_calls(pool, 23)
    assert await left() == 60


async def test_no_process_waits_for_the_claim_of_another(pool: Pool, settings: Settings) -> None:
    await plan(pool, 2)
    await pool.execute("INSERT INTO person_key (person, erased_at) VALUES (decode(md5(''), 'hex'), '2000-01-01')")
    await pool.execute("UPDATE invitation SET person = decode(md5(''), 'hex') WHERE delivery_id = 'D-1'")
    first, second = (dispatcher(pool, settings, ScriptedChannel(), CAPPED)._claiming.claims for _ in range(2))
    async with pool.acquire() as one, pool.acquire() as other, asyncio.timeout(10):
        permits = await first.permits(one, 1)
        async with one.transaction():
            taken = await first.take(one, permits)
            permits = await second.permits(other, 2)
            async with other.transaction():
                taken += await second.take(other, permits)
    assert sorted(r["delivery_id"] for r in taken) == ["D-0", "D-1"]


async def test_two_that_want_the_last_permits_at_once_are_counted_one_after_the_other(
    pool: Pool, settings: Settings
) -> None:
    await plan(pool, 40)
    cap = replace(CAPPED, cap_per_minute=30)
    claims = [dispatcher(pool, settings, ScriptedChannel(), cap)._claiming.claims for _ in range(2)]

    async def room(mine: Claims) -> int:
        async with pool.acquire() as connection:
            return sum((await mine.permits(connection, 50)).room.values())

    async with pool.acquire() as holder, asyncio.timeout(10):
        async with holder.transaction():
            await holder.execute("SELECT pg_advisory_xact_lock(hashtext('kvittera send caps'))")
            asking = [asyncio.create_task(room(c)) for c in claims]
            while (
                await holder.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted") < 2
            ):
                await asyncio.sleep(0)
        assert sorted(await asyncio.gather(*asking)) == [10, 20]


async def test_permits_that_no_call_used_are_free_again(pool: Pool, settings: Settings) -> None:
    await plan(pool, 21 + 9)
    await pool.execute("INSERT INTO correction SELECT 'D-' || n, 'returned', 1 FROM generate_series(0, 8) AS n")
    channel = ScriptedChannel()
    sender = dispatcher(pool, settings, channel, CAPPED)
    assert await work(sender) == 11
    assert await pool.fetchval("SELECT array_agg((channel, n)::text) FROM send_second") == ["(email,11)"]
    assert await pool.fetchval("SELECT array_agg((channel, n)::text) FROM send_hour") == ["(email,11)"]
    assert await work(sender) == 10
    assert len(channel.calls) == 21


async def test_permits_of_a_process_that_died_with_them_come_free_after_their_minute(
    pool: Pool, settings: Settings
) -> None:
    await plan(pool, 70)
    dead, heir = (dispatcher(pool, settings, ScriptedChannel(), CAPPED) for _ in range(2))
    async with pool.acquire() as connection:
        for _ in range(3):
            assert (await dead._claiming.claims.permits(connection, 50)).room == {"email": 20}
        assert (await dead._claiming.claims.permits(connection, 50)).room == {}
    assert await work(heir) == 0
    await age_calls(pool, 63)
    assert await work(heir) == 20


async def test_permits_wait_for_no_disk_but_claims_do(pool: Pool, settings: Settings) -> None:
    await plan(pool)
    sender = dispatcher(pool, settings, ScriptedChannel(), CAPPED)
    async with pool.acquire() as connection:
        permits = await sender._claiming.claims.permits(connection, 1)
        assert await connection.fetchval("SHOW synchronous_commit") == "on"
        await sender._claiming.claims.give_back(connection, permits, [])
        assert await connection.fetchval("SHOW synchronous_commit") == "on"


async def test_nothing_is_claimed_by_permits_from_before_the_pause(pool: Pool, settings: Settings) -> None:
    await plan(pool)
    sender = dispatcher(pool, settings, ScriptedChannel(), CAPPED)
    async with pool.acquire() as connection:
        permits = await sender._claiming.claims.permits(connection, 1)
        await connection.execute("UPDATE switch SET is_on = false")
        async with connection.transaction():
            assert await sender._claiming.claims.take(connection, permits) == []
        assert (await sender._claiming.claims.permits(connection, 1)).room == {}


async def test_a_process_that_was_paused_between_its_claim_and_its_call_gives_its_permit_up(
    pool: Pool, settings: Settings
) -> None:
    await plan(pool)
    channel = ScriptedChannel()
    sender = dispatcher(pool, settings, channel, CAPPED)
    ticks = chain([0.0], repeat(2.5))
    sender.clock = lambda: next(ticks)
    sender._breaker.clock = lambda: 0.0
    await work(sender)
    assert channel.calls == []
    assert await state_of(pool) == ("planned", "permit_expired", 0)
