"""Tables by month: partitions are made ahead, and dropped as a whole once every row in them is older than its time.

There is no partition for what fits nowhere. Rows in it would have to be moved before their month could be made, and
PostgreSQL detaches no month beside it without locking the whole table. A row without a month is refused instead.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import asyncpg
import structlog

from services.chassis.failures import is_transient
from services.chassis.metrics import Metrics
from services.chassis.month_bounds import OF_MOMENTS, Bounds, midnight
from services.chassis.pauses import pause_or_stop
from services.chassis.postgres import Database, Pool, database_time, named_sql

log = structlog.get_logger()
AHEAD = 2
"""Months that stand ready after the present one."""
CLOCKS_AGREE = timedelta(hours=1)
_PATIENCE = "5s"
_A_DAY = 86_400.0
_FIRST_WITHIN = 600.0


@dataclass(frozen=True, slots=True)
class Part:
    """One partition. Without `ends` it is not clear what it holds, so it is never dropped."""

    name: str
    starts: date | None
    ends: date | None
    pending: bool = False
    """Whether PostgreSQL was stopped in the middle of detaching it."""

    @classmethod
    def of(cls, row: asyncpg.Record | Mapping[str, object], by: Bounds = OF_MOMENTS) -> "Part":
        """A partition as the catalogue tells it, in a session whose zone is UTC."""
        return cls(str(row["name"]), *by.read(str(row["bounds"])), bool(row["pending"]))

    def holds(self, month: date) -> bool:
        """Whether rows of the month go here."""
        return self.ends is not None and (self.starts or date.min) <= month < self.ends


LetGo = Callable[[Database, Part], Awaitable[bool]]
"""Keeps what must outlive a month, just before it goes; or says that it may not go yet."""


async def at_once(_connection: Database, _part: Part) -> bool:
    """Nothing of a month is kept."""
    return True


@dataclass(frozen=True, slots=True)
class MonthlyTable:
    """A table that is partitioned by months of UTC.

    Attributes:
        keep: how long its rows are kept at least.
        by: what its key is made of.
        storage: parameters of each partition, as CREATE TABLE takes them.
        let_go: asked about each month that is past its time. May be asked again about one that it let go.
    """

    name: str
    keep: timedelta
    by: Bounds = OF_MOMENTS
    storage: str = ""
    let_go: LetGo = at_once


def month_of(moment: datetime) -> date:
    """The first day of the month in UTC in which a moment lies."""
    return moment.astimezone(UTC).date().replace(day=1)


def later(month: date, months: int) -> date:
    """The first day of another month."""
    number = month.year * 12 + month.month - 1 + months
    return date(number // 12, number % 12 + 1, 1)


def missing(parts: Sequence[Part], now: datetime) -> list[date]:
    """Which of this month and the next ones no partition holds."""
    wanted = [later(month_of(now), n) for n in range(AHEAD + 1)]
    return [month for month in wanted if not any(p.holds(month) for p in parts)]


def ahead(parts: Sequence[Part], now: datetime) -> int:
    """How many months in a row after this one have a partition; -1 where this one has none."""
    month, found = month_of(now), -1
    while any(p.holds(month) for p in parts):
        month, found = later(month, 1), found + 1
    return found


def past(parts: Sequence[Part], keep: timedelta, now: datetime) -> list[Part]:
    """The partitions in which even the last moment is older than `keep`, oldest first."""
    known = [p for p in parts if p.ends is not None and midnight(p.ends) <= now - keep]
    return sorted(known, key=lambda p: p.ends or date.max)


@dataclass(frozen=True, slots=True)
class Months:
    """The monthly tables of one service; connections are in its schema."""

    service: str
    tables: Sequence[MonthlyTable]
    sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.chassis", "months.sql"))

    async def parts(self, connection: Database, table: MonthlyTable) -> list[Part]:
        """The partitions of a table."""
        return [Part.of(row, table.by) for row in await connection.fetch(self.sql["parts"], table.name)]

    async def prepare(self, connection: Database, at: datetime | None = None) -> list[str]:
        """Make the partitions that are missing now, or at another time; returns their names.

        Several processes may do it at once.
        """
        now = at or await database_time(connection)
        made = []
        for table in self.tables:
            if missing(await self.parts(connection, table), now):
                made += await self._make(connection, table, now)
        return made

    async def _make(self, connection: Database, table: MonthlyTable, now: datetime) -> list[str]:
        names = []
        async with connection.transaction():
            await connection.execute(f"SET LOCAL lock_timeout = '{_PATIENCE}'")
            await connection.execute(self.sql["lock_making"])
            for month in missing(await self.parts(connection, table), now):
                name, bounds = f"{table.name}_{month:%Y_%m}", (table.by.write(month), table.by.write(later(month, 1)))
                await self._run(connection, "make", name, table.name, *bounds, table.storage)
                names.append(name)
        return names

    async def due(self, connection: Database) -> dict[str, list[str]]:
        """The partitions past their time, by table."""
        now = await database_time(connection)
        return {t.name: [p.name for p in past(await self.parts(connection, t), t.keep, now)] for t in self.tables}

    async def drop(self, connection: Database, now: datetime) -> dict[str, list[str]] | None:
        """Drop what is past its time; returns the names by table, or None where another process is at it.

        `now` is this machine's clock. Where it disagrees with the database's, nothing is dropped: what a wrong clock
        takes does not come back.
        """
        if abs(await database_time(connection) - now) > CLOCKS_AGREE:
            log.error("clocks disagree, so no month is dropped", action="withhold", service=self.service)
            return {t.name: [] for t in self.tables}
        if not await connection.fetchval(self.sql["try_dropping"]):
            return None
        try:
            await connection.execute(f"SET lock_timeout = '{_PATIENCE}'")
            return {t.name: await self._drop_past(connection, t, now) for t in self.tables}
        finally:
            await connection.execute("RESET lock_timeout")
            await connection.execute(self.sql["end_dropping"])

    async def _drop_past(self, connection: Database, table: MonthlyTable, now: datetime) -> list[str]:
        parts = await self.parts(connection, table)
        for part in parts:
            if part.pending:
                await self._run(connection, "finish_detaching", table.name, part.name)
        for part in past(parts, table.keep, now):
            if part.pending:
                continue
            if await table.let_go(connection, part):
                await self._run(connection, "mark", part.name)
                await self._run(connection, "detach", table.name, part.name)
            else:
                log.warning("month cannot go yet", action="withhold", service=self.service, part=part.name)
        gone = [row["name"] for row in await connection.fetch(self.sql["marked"], table.name)]
        for name in gone:
            await self._run(connection, "drop", name)
        return gone

    async def _run(self, connection: Database, what: str, *names: str) -> None:
        await connection.execute(await connection.fetchval(self.sql[what], *names))

    async def room(self, connection: Database) -> dict[str, int]:
        """For how many months after this one each table has room; -1 where even this one has none."""
        now = await database_time(connection)
        return {t.name: ahead(await self.parts(connection, t), now) for t in self.tables}

    async def daily(self, pool: Pool, metrics: Metrics, stop: asyncio.Event) -> None:
        """Make room at once, drop soon after, not in step with others, and do both every day.

        A failure waits for the next time and never ends the service: there is room for months, and a metric and an
        alert tell when it gets short.
        """
        pause, dropping = 0.0, False
        while not await pause_or_stop(pause, stop):
            try:
                async with pool.acquire() as connection:
                    await self._work(connection, metrics, dropping=dropping)
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
                tell = log.warning if is_transient(error) else log.error
                tell("will try again", action="retry", what="months", error=type(error).__name__)
                pause = _FIRST_WITHIN
                continue
            pause = _A_DAY if dropping else random.SystemRandom().uniform(0, _FIRST_WITHIN)
            dropping = True

    async def _work(self, connection: Database, metrics: Metrics, *, dropping: bool) -> None:
        await self._measure(connection, metrics)  # also where making fails
        if await self.prepare(connection):
            await self._measure(connection, metrics)
        for table, names in (await self.drop(connection, datetime.now(UTC)) or {} if dropping else {}).items():
            metrics.count("kvittera_months_dropped_total", len(names), table=table)

    async def _measure(self, connection: Database, metrics: Metrics) -> None:
        for table, months in (await self.room(connection)).items():
            metrics.set("kvittera_months_ahead", months, table=table)
