"""Which cases changed, for everybody who watches: one query a second, however many they are."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import orjson
import structlog

from schemas.feedback import CaseState
from services.chassis.failures import is_transient
from services.chassis.metrics import Metrics
from services.chassis.pauses import pause_or_stop
from services.chassis.postgres import Pool, named_sql
from services.chassis.staff import Member, Role
from services.survey.cases.number import number_of

log = structlog.get_logger()
_LOOK_BACK = timedelta(seconds=30)  # a transaction that commits late is still found
_METRICS_EVERY = 15.0
_AWAY = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError)


@dataclass(frozen=True, slots=True)
class Changed:
    """A case that changed lately, at its revision."""

    serial: int
    revision: int
    desk: str


@dataclass(slots=True)
class CaseChanges:
    """Looks for changes while anybody watches, and keeps the gauges of all cases fresh."""

    pool: Pool
    metrics: Metrics
    now: Callable[[], datetime]
    period: float = 1.0
    watchers: int = 0
    _lately: list[Changed] = field(default_factory=list)
    _as_of: datetime | None = None
    _looked: asyncio.Condition = field(default_factory=asyncio.Condition)
    _ended: bool = False
    _sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.survey", "cases.sql"))

    async def run(self, stop: asyncio.Event) -> None:
        """Look until stopped."""
        measured = -_METRICS_EVERY
        loop = asyncio.get_running_loop()
        away = False
        while not stop.is_set():
            try:
                if self.watchers:
                    await self.look()
                if loop.time() - measured >= _METRICS_EVERY:
                    await self.measure()
                    measured = loop.time()
                away = False
            except _AWAY as error:  # watchers see by `as_of` that nothing new comes
                if not is_transient(error):
                    raise
                if not away:  # one line for each time that PostgreSQL is away
                    log.warning("will try again", action="retry", what="case changes", error=type(error).__name__)
                away = True
            await pause_or_stop(self.period, stop)
        self._ended = True
        async with self._looked:
            self._looked.notify_all()

    async def look(self) -> None:
        """Find what changed lately, and tell those who watch."""
        now = self.now()
        async with self.pool.acquire() as connection:
            rows = await connection.fetch(self._sql["changed_lately"], now - _LOOK_BACK)
        self._lately = [Changed(r["serial"], r["revision"], r["desk"]) for r in rows]
        self._as_of = now
        async with self._looked:
            self._looked.notify_all()

    async def measure(self) -> None:
        """Set the gauges."""
        async with self.pool.acquire() as connection:
            rows = await connection.fetch(self._sql["standing"], self.now())
        standing = {r["state"]: r for r in rows}
        for state in (s for s in CaseState if s is not CaseState.RESOLVED):
            self.metrics.set("kvittera_cases", standing[state]["cases"] if state in standing else 0, state=state)
        self.metrics.set("kvittera_cases_overdue", sum(r["overdue"] for r in rows))
        for age in ("day", "week", "month", "older"):
            self.metrics.set("kvittera_cases_by_age", sum(r[age] for r in rows), age=age)

    async def events(self, member: Member) -> AsyncGenerator[bytes]:
        """Server-sent events for one member: `change` with case numbers of own desks, otherwise `tick`."""
        self.watchers += 1
        try:
            known: dict[int, int] = {}
            yield _event("tick", {"as_of": None})
            while not self._ended:
                async with self._looked:
                    await self._looked.wait()
                new = [c for c in self._lately if known.get(c.serial, 0) < c.revision]
                known = {c.serial: c.revision for c in self._lately}
                mine = [c for c in new if member.may(Role.READER, c.desk)]
                told = {"as_of": self._as_of.isoformat() if self._as_of else None}
                if mine:
                    cases = {number_of(c.serial): c.revision for c in mine}
                    yield _event("change", {**told, "cases": cases})
                else:
                    yield _event("tick", told)
        finally:
            self.watchers -= 1


def _event(name: str, data: Mapping[str, Any]) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(data) + b"\n\n"
