"""A notifier that dies at each named point of a send, again and again: the gateway's own book shows no message twice.

A dying process stands still for ever at its point and is then cut off: nothing behind the point runs, and what was
not committed is rolled back. Its heir is a fresh dispatcher on the same database. `CRASHES` says how often.
"""

import asyncio
import os
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import pytest

from schemas.delivery import ChannelKind
from services.chassis.postgres import Pool, named_sql
from services.chassis.settings import Settings
from services.notifier.channels import Channel, Message, Result
from services.notifier.dispatch import Dispatcher, Limits
from tests.channel_kit import KITS
from tests.gateways import Gateway, answer, gateway
from tests.sending import dispatcher, ledger, plan, relay_everything, state_of

pytestmark = pytest.mark.service("notifier")

CRASHES = int(os.environ.get("CRASHES", "5"))
ONE_AT_A_TIME = Limits(concurrency=1, lease_seconds=60, max_age_seconds=72 * 3600, in_doubt_deadline_seconds=3600)
SQL = named_sql("services.notifier", "queries.sql", "claim.sql")
AFTER_CALLING = ("calling committed", "before the first byte", "taken and not answered", "answered")
POINTS = ("calling not committed", *AFTER_CALLING, "outcome not committed", "outcome committed")
BEFORE = {"answered": "settle"}
IN_TRANSACTION = {"calling not committed": "claim", "outcome not committed": "settle"}
AFTER_TRANSACTION = {"calling committed": "claim", "outcome committed": "settle"}


@dataclass
class Death:
    """Where a process dies, and whether it has."""

    point: str
    came: asyncio.Event = field(default_factory=asyncio.Event)

    async def at(self, point: str | None) -> None:
        """Stand still for ever if this is the point."""
        if point == self.point:
            self.came.set()
            await asyncio.Event().wait()

    async def at_statement(self, where: dict[str, str], sql: str) -> None:
        await self.at(next((p for p, name in where.items() if SQL[name] == sql), None))


class DyingTransaction:
    """A transaction that may die just before or after its commit."""

    def __init__(self, real: Any, connection: "DyingConnection") -> None:
        self._real = real
        self._connection = connection

    async def __aenter__(self) -> None:
        await self._real.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        death, last = self._connection.death, self._connection.last
        try:
            if kind is None:
                await death.at_statement(IN_TRANSACTION, last)
        except asyncio.CancelledError as cut_off:
            await self._real.__aexit__(type(cut_off), cut_off, None)
            raise
        await self._real.__aexit__(kind, error, trace)
        await death.at_statement(AFTER_TRANSACTION, last)


class DyingConnection:
    """A connection that remembers the last statement that a point is about."""

    def __init__(self, real: Any, death: Death) -> None:
        self._real = real
        self.death = death
        self.last = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def transaction(self) -> DyingTransaction:
        return DyingTransaction(self._real.transaction(), self)

    async def fetch(self, sql: str, *values: Any) -> Any:
        await self.death.at_statement(BEFORE, sql)
        rows = await self._real.fetch(sql, *values)
        if sql in {SQL["claim"], SQL["settle"]}:
            self.last = sql
        return rows


class DyingPool:
    """The database as a process sees it that will die."""

    def __init__(self, real: Pool, death: Death) -> None:
        self._real = real
        self._death = death

    def acquire(self) -> "DyingPool":
        return DyingPool(self._real, self._death)

    async def __aenter__(self) -> DyingConnection:
        self._held = await self._real.acquire()
        return DyingConnection(self._held, self._death)

    async def __aexit__(self, *_: object) -> None:
        await self._real.release(self._held)


@dataclass
class DyingChannel:
    """A real channel to a real gateway, in a process that will die."""

    real: Channel
    book: Gateway
    death: Death
    kinds: frozenset[ChannelKind] = frozenset({ChannelKind.SMS})

    async def send(self, message: Message) -> Result:
        await self.death.at("before the first byte")
        if self.death.point != "taken and not answered":
            return await self.real.send(message)
        taken = len(self.book.calls)
        sending = asyncio.create_task(self.real.send(message))
        try:
            while len(self.book.calls) == taken:
                await asyncio.sleep(0)
            await self.death.at("taken and not answered")
        finally:
            sending.cancel()
        return await sending

    async def look_up(self, reference: str) -> Result | None:
        return await self.real.look_up(reference)

    async def close(self) -> None:
        """The gateway is shared by all that die."""


async def die(pool: Pool, settings: Settings, channel: Channel, book: Gateway, point: str) -> bool:
    """Let a fresh process begin one send and die at the point; False when nothing was due."""
    death = Death(point)
    doomed = dispatcher(pool, settings, DyingChannel(channel, book, death), ONE_AT_A_TIME)
    doomed.pool = DyingPool(pool, death)  # type: ignore[assignment]
    doomed.__post_init__()  # what it holds sees the database as it does
    begun = asyncio.create_task(doomed._begin_some())
    waiting = asyncio.create_task(death.came.wait())
    await asyncio.wait([begun, waiting], return_when=asyncio.FIRST_COMPLETED)
    if begun.done() and not begun.result():
        waiting.cancel()
        return False
    async with asyncio.timeout(60):
        await waiting
    parts = [begun, *doomed._sending, *doomed._settler._tasks]
    for part in parts:
        part.cancel()
    await asyncio.gather(*parts, return_exceptions=True)
    return True


async def inherit(pool: Pool, heir: Dispatcher) -> None:
    """The leases of the dead run out, and a fresh process looks after what they left."""
    await pool.execute("UPDATE invitation SET lease_until = now() - interval '1 second' WHERE lease_until > now()")
    await heir.sweep.once()


async def finish(pool: Pool, heir: Dispatcher) -> None:
    await relay_everything(pool)
    while await heir._begin_some():
        await asyncio.gather(*heir._sending)
        await relay_everything(pool)


@pytest.mark.parametrize("point", POINTS)
async def test_whoever_dies_at_a_point_again_and_again_sends_nothing_twice_and_loses_nothing(
    pool: Pool, settings: Settings, point: str
) -> None:
    await plan(pool, CRASHES + 5, channels=({"kind": "sms", "address": "+46701740634"},))
    kit = next(k for k in KITS if k.name == "gateway")
    async with gateway(answer(200)) as book:
        channel = kit.make(book.port, 5)
        heir = dispatcher(pool, settings, channel)
        for _ in range(CRASHES):
            assert await die(pool, settings, channel, book, point)
            await inherit(pool, heir)
        await finish(pool, heir)
        await channel.close()
    calls = Counter(c.headers["idempotency-key"] for c in book.calls)
    assert max(calls.values()) == 1
    counted = await ledger(pool)
    doubted = CRASHES if point in (*AFTER_CALLING, "outcome not committed") else 0
    assert (counted["asked"], counted["in_doubt"]) == (CRASHES + 5 - doubted, doubted)
    reached = {"calling committed": 5, "before the first byte": 5}.get(point, CRASHES + 5)
    assert len(calls) == reached
    assert (await state_of(pool))[0] in {"accepted", "in_doubt"}
