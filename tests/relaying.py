"""Rows put into an outbox, and the relay that sends them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import ConsumerRecord

from services.chassis.lifecycle import Task
from services.chassis.metrics import Metrics
from services.chassis.outbox import Relay
from services.chassis.postgres import Pool, named_sql
from services.chassis.settings import Settings

SQL = named_sql("services.chassis", "outbox.sql")


@asynccontextmanager
async def running(task: Task) -> AsyncIterator[asyncio.Event]:
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(_run(task, stop))
        try:
            yield stop
        finally:
            stop.set()


async def _run(task: Task, stop: asyncio.Event) -> None:
    await task(stop)


def relay(settings: Settings) -> Relay:
    return Relay(settings, "notifier", Metrics())


async def put(pool: Any, topic: str, key: bytes, value: bytes | None) -> None:
    await pool.execute(
        "INSERT INTO outbox (shard, topic, key, value) VALUES (hashtext(encode($2, 'hex')) & 3, $1, $2, $3)",
        topic,
        key,
        value,
    )


async def waiting(pool: Pool) -> int:
    count: int = await pool.fetchval("SELECT count(*) FROM outbox_waiting")
    return count


def values_by_key(records: list[ConsumerRecord]) -> dict[bytes, list[int]]:
    found: dict[bytes, list[int]] = {}
    for record in records:
        found.setdefault(bytes(record.key), []).append(int(record.value))
    return found


def waiting_is(pool: Pool, count: int) -> Callable[[], Any]:
    async def ask() -> bool:
        return await waiting(pool) == count

    return ask


def empty(pool: Pool) -> Callable[[], Any]:
    return waiting_is(pool, 0)


def in_lost_topics(relay: Relay, topic: str) -> float | None:
    return relay._metrics.registry.get_sample_value("kvittera_outbox_lost", {"topic": topic})
