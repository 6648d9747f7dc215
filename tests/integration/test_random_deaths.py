"""Senders that are ended by kill -9 at any moment of their work: no message leaves twice, and none is forgotten.

`KILLS` says how many; they are ended in stages that add up, so that a long run tells how far it is.
"""

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
from tests.gateways import Gateway, answer, gateway
from tests.sending import dispatcher, ledger, plan, relay_everything

pytestmark = pytest.mark.service("notifier")

KILLS = int(os.environ.get("KILLS", "8"))
A_STAGE = 50
STAGES = [min(A_STAGE, KILLS - done) for done in range(0, KILLS, A_STAGE)]
EACH = 12
"""Messages for each sender; it dies at one of the first few of them."""
LONGEST = 0.03
"""Seconds between a call and the death; a sender claims every 0.02."""
THINKING = 0.01
"""Seconds that the gateway takes to answer: as long, a call is under way."""


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


async def slowly(book: Gateway, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(THINKING)
    await answer(200)(book, writer)


async def kill_one(process: asyncio.subprocess.Process, book: Gateway, at_call: int, after: float) -> None:
    """Let a sender live until so many calls have come, and a moment longer."""
    assert process.stdin is not None
    assert process.stdout is not None
    last = len(book.calls) + at_call
    process.stdin.write(b"live\n")
    async with asyncio.timeout(60):
        sender = int(await process.stdout.readline())
        while len(book.calls) < last:
            await asyncio.sleep(0.001)
    if after:
        await asyncio.sleep(after)
    os.kill(sender, signal.SIGKILL)


async def inherit(pool: Pool, heir: Dispatcher) -> int:
    """The leases of the dead run out, and another process looks after what they left; says how much it was."""
    left: int = await pool.fetchval("SELECT count(*) FROM invitation WHERE state IN ('claimed', 'calling')")
    await pool.execute("UPDATE invitation SET lease_until = now() WHERE lease_until > now()")
    await heir.sweep.once()
    await relay_everything(pool)
    return left


@pytest.fixture(scope="module")
def whole() -> Counter[str]:
    """What all stages together have come to."""
    return Counter()


@pytest.mark.parametrize(("stage", "kills"), list(enumerate(STAGES)))
async def test_senders_killed_at_random_moments_send_nothing_twice_and_lose_nothing(
    pool: Pool, settings: Settings, whole: Counter[str], stage: int, kills: int
) -> None:
    dice = random.Random(stage)
    planned = kills * EACH
    await plan(pool, planned, channels=({"kind": "sms", "address": "+46701740634"},))
    async with gateway(slowly) as book:
        heir = dispatcher(pool, settings, next(k for k in KITS if k.name == "gateway").make(book.port, 5))
        async with doomed(settings, book.port) as process:
            await kill_one(process, book, 1, 0)  # surely with a call under way
            await inherit(pool, heir)
            for _ in range(kills - 1):
                await kill_one(process, book, dice.randrange(8), dice.uniform(0, LONGEST))
                await inherit(pool, heir)
        while await inherit(pool, heir):
            pass  # PostgreSQL was still busy with what the last one had asked for
        while await heir._begin_some():
            await asyncio.gather(*heir._sending)
        await heir.channel.close()
    calls = Counter(c.headers["idempotency-key"] for c in book.calls)
    counted = await ledger(pool)
    doubles = sum(n - 1 for n in calls.values())
    lost = planned - counted["asked"] - counted["in_doubt"]
    whole.update(
        killed=kills, planned=planned, called=len(calls), doubles=doubles, lost=lost, in_doubt=counted["in_doubt"]
    )
    print(f"stage {stage + 1} of {len(STAGES)}, all so far: {dict(whole)}", flush=True)
    assert (doubles, lost) == (0, 0)
    asked = await pool.fetch("SELECT reference FROM invitation WHERE state = 'accepted'")
    assert {r["reference"] for r in asked} <= set(calls)
    assert counted["in_doubt"] > 0
