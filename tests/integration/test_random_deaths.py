"""Senders that are ended by kill -9 at any moment of their work: no message leaves twice, and none is forgotten."""

import asyncio
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from services.chassis.postgres import Pool
from services.chassis.settings import Settings
from services.notifier.dispatch import Dispatcher
from tests.channel_kit import KITS
from tests.gateways import answer, gateway
from tests.sending import dispatcher, ledger, plan, relay_everything
from tests.tables import empty_pool

KILLS = int(os.environ.get("KILLS", "8"))
A_LIFE = 0.04
"""Seconds of work after which a sender is dead at the latest; a message takes it about a thousandth."""
EACH = 12


@pytest.fixture(scope="module")
def settings(shared_settings: Settings) -> Settings:
    return shared_settings


@pytest.fixture
async def pool(settings: Settings) -> AsyncIterator[Pool]:
    async with empty_pool(settings, "notifier") as empty:
        yield empty


@asynccontextmanager
async def doomed(settings: Settings, port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.doomed_sender",
        settings.postgres_dsn.get_secret_value(),
        str(port),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        async with asyncio.timeout(10):
            await process.wait()


async def kill_one(process: asyncio.subprocess.Process, after: float) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"live\n")
    async with asyncio.timeout(20):
        sender = int(await process.stdout.readline())
    await asyncio.sleep(after)
    os.kill(sender, signal.SIGKILL)


async def inherit(pool: Pool, heir: Dispatcher) -> Counter[str]:
    """The leases of the dead run out, and another process looks after what they left; counts that by state."""
    rows = await pool.fetch("SELECT state FROM invitation WHERE state IN ('claimed', 'calling')")
    await pool.execute("UPDATE invitation SET lease_until = now() WHERE lease_until > now()")
    await heir._sweep_once()
    await relay_everything(pool)
    return Counter(r["state"] for r in rows)


@pytest.mark.timeout(60 + KILLS)
async def test_senders_killed_at_random_moments_send_nothing_twice_and_lose_nothing(
    pool: Pool, settings: Settings
) -> None:
    dice = random.Random(KILLS)
    planned = KILLS * EACH
    await plan(pool, planned, channels=({"kind": "sms", "address": "+46701740634"},))
    left = Counter[str]()
    async with gateway(answer(200)) as book:
        heir = dispatcher(pool, settings, next(k for k in KITS if k.name == "gateway").make(book.port, 5))
        async with doomed(settings, book.port) as process:
            for _ in range(KILLS):
                await kill_one(process, dice.uniform(0, A_LIFE))
                left += await inherit(pool, heir)
        while found := await inherit(pool, heir):  # what PostgreSQL was still busy with
            left += found
        while await heir._begin_some():
            await asyncio.gather(*heir._sending)
        await heir.channel.close()
    calls = Counter(c.headers["idempotency-key"] for c in book.calls)
    counted = await ledger(pool)
    print(f"{KILLS} senders killed; left behind: {dict(left)}; {len(calls)} of {planned} called, {counted}")
    assert max(calls.values()) == 1
    assert counted["asked"] + counted["in_doubt"] == planned
    asked = await pool.fetch("SELECT reference FROM invitation WHERE state = 'accepted'")
    assert {r["reference"] for r in asked} <= set(calls)
    assert counted["in_doubt"] >= left["calling"] > 0
