"""How many requests could leave now: what notifiers are scaled by."""

import asyncio
from collections.abc import Callable
from typing import Final

from services.chassis.attempts import tried_again_later
from services.chassis.metrics import Metrics
from services.chassis.pauses import pause_or_stop
from services.chassis.postgres import Database, Pool, named_sql
from services.notifier.claim import KINDS

MOST_COUNTED: Final = 10_000
"""More than this is not worth a longer look: every notifier counts every few seconds."""
_BY_INDEX = "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off"


async def count_due(connection: Database, cap: int | None) -> int:
    """Requests whose time has come while sending is on, counted to `MOST_COUNTED`.

    `cap` is how many calls may begin in a minute on each kind of channel; more of them would wait for it, however many
    notifiers there were.
    """
    counting = named_sql("services.notifier", "volume.sql")["count_due"]
    of_a_kind = MOST_COUNTED if cap is None else min(cap, MOST_COUNTED)
    async with connection.transaction(readonly=True):
        await connection.execute(_BY_INDEX)  # whatever PostgreSQL knows of the table, only what is counted is read
        due: int = await connection.fetchval(counting, list(KINDS), of_a_kind, MOST_COUNTED)
    return due


async def measure_due(
    pool: Pool,
    metrics: Metrics,
    stop: asyncio.Event,
    *,
    cap: int | None = None,
    permitted: Callable[[], bool] = lambda: True,
    every: float = 5.0,
) -> None:
    """Keep visible how many requests could leave now; none while `permitted` says no."""
    while not await pause_or_stop(every, stop):
        with tried_again_later("requests due"):
            async with pool.acquire() as connection:
                metrics.set("kvittera_requests_due", await count_due(connection, cap) if permitted() else 0)
