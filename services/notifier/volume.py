"""The volume breaker: far more calls than usual pause sending, loudly, until an operator has looked (H55)."""

import asyncio
import time

import structlog

from services.chassis.failures import is_transient
from services.chassis.metrics import Metrics
from services.chassis.pauses import pause_or_stop
from services.chassis.postgres import Database, Pool, named_sql

log = structlog.get_logger()
_CLEAN_EVERY = 60.0


async def watch_volume(pool: Pool, metrics: Metrics, usual_per_hour: int, stop: asyncio.Event) -> None:
    """Look every second until stopped; keeps `kvittera_sending_on` true, too."""
    cleaned = 0.0
    while not await pause_or_stop(1.0, stop):
        try:
            async with pool.acquire() as connection:
                await pause_when_too_many(connection, metrics, usual_per_hour)
                if time.monotonic() - cleaned > _CLEAN_EVERY:
                    cleaned = time.monotonic()
                    await connection.execute(named_sql("services.notifier", "volume.sql")["forget_old_calls"])
        except Exception as error:
            if not is_transient(error):
                raise
            metrics.set("kvittera_sending_on", 0)  # unreadable is off


async def pause_when_too_many(connection: Database, metrics: Metrics, usual_per_hour: int) -> bool:
    """Switch sending off where an hour has seen more than `usual_per_hour` and thrice the busiest of 28 days."""
    sql = named_sql("services.notifier", "volume.sql")
    tripped = await connection.fetch(sql["pause_when_too_many"], usual_per_hour)
    for row in tripped:
        log.error(
            "far more calls than usual: sending is paused",
            action="pause_sending",
            channel=row["channel"],
            calls=row["n"],
            most=row["most"],
        )
        metrics.count("kvittera_volume_pauses_total", channel=row["channel"])
    switch = await connection.fetchrow(sql["switch"])
    metrics.set("kvittera_sending_on", 0 if switch is None else int(switch["is_on"]))
    return bool(tripped)
