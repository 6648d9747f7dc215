"""How long the notifier keeps what can be read about persons."""

import asyncio
from datetime import timedelta

from services.chassis.attempts import tried_again_later
from services.chassis.metrics import Metrics
from services.chassis.month_bounds import OF_IDS
from services.chassis.months import MonthlyTable, Months
from services.chassis.pauses import pause_or_stop
from services.chassis.postgres import Pool, named_sql
from services.chassis.retention import Retention, Rule
from services.chassis.settings import Settings
from services.notifier.request_months import let_go

_LONGEST_MONTH = 31


def retention(settings: Settings) -> Retention:
    """The notifier's rules."""
    return Retention(
        "notifier",
        (
            Rule("viewer_messages", timedelta(days=settings.message_keep_days)),
            Rule("secrets", timedelta(days=settings.message_keep_days)),
            Rule("unreachable", timedelta(0)),
        ),
    )


def months(settings: Settings) -> Months:
    """The notifier's tables that go by whole months."""
    return Months(
        "notifier",
        (
            MonthlyTable("receipt", timedelta(days=settings.message_keep_days)),
            MonthlyTable(
                "invitation",
                timedelta(days=_LONGEST_MONTH * settings.request_keep_months),
                by=OF_IDS,
                storage="WITH (fillfactor = 50)",  # room on each page for the next version of its rows
                let_go=let_go,
            ),
        ),
    )


async def measure_erasures(pool: Pool, metrics: Metrics, stop: asyncio.Event, every: float = 15.0) -> None:
    """Keep visible how many erasures the other services have not been told of yet."""
    sql = named_sql("services.notifier", "retention.sql")
    while not await pause_or_stop(every, stop):
        with tried_again_later("erasures pending"):
            async with pool.acquire() as connection:
                metrics.set("kvittera_erasures_pending", await connection.fetchval(sql["erasures_pending"]))
