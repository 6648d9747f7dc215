"""Reads what live pages look at: one statement per tick for all scopes that are watched, whoever many watch."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import asyncpg
import structlog

from schemas.satisfaction import Window
from services.aggregator.calendar import day_number
from services.aggregator.counting.cuts import JOINT
from services.aggregator.counting.freshness import Freshness
from services.aggregator.counting.windows import base_of
from services.aggregator.figures.figures import counters, figures, kept_apart
from services.aggregator.figures.rows import rows_of
from services.aggregator.live.alerts import marked_since, marks_of, still_shown
from services.aggregator.live.disruptions import Disruptions
from services.aggregator.live.feed import LiveFeed
from services.aggregator.live.past import DAYS, WEEKS, past_of
from services.aggregator.live.scope import Scope, Span, Wanted, today_in
from services.aggregator.publishing.publisher import cell_message
from services.chassis.consumer import Reader
from services.chassis.failures import is_transient
from services.chassis.postgres import Database, Pool, named_sql

log = structlog.get_logger()
PERIOD: Final = 0.25
PAST_PERIOD: Final = 60.0
_GRACE: Final = 10.0
_MOST_SCOPES: Final = 60
_MOST_ROWS: Final = 200
_ALWAYS: Final = (Scope(), Scope(Span.ALL))
"""Read although nobody watches, so that a page that opens has the last minutes of its line."""

_NOTHING: Final = Wanted("", 0)


@dataclass(slots=True)
class LiveScopes:
    """The feeds by scope. A scope that nobody watches any more is let go with the next reading of the past."""

    pool: Pool
    reader: Reader[Any]
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    freshness: Freshness = field(default_factory=Freshness)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    disruptions: Disruptions = field(default_factory=Disruptions)
    _feeds: dict[Scope, LiveFeed] = field(default_factory=lambda: {scope: LiveFeed() for scope in _ALWAYS})
    clock: Callable[[], float] = time.monotonic
    _asked: dict[Scope, float] = field(default_factory=dict)
    _past_due: dict[Scope, float] = field(default_factory=dict)
    _marks: dict[Scope, list[dict[str, Any]]] = field(default_factory=dict)
    _sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.aggregator", "live.sql"))

    def feed(self, scope: Scope) -> LiveFeed | None:
        """The feed of a scope; None where too many different ones are watched."""
        if scope not in self._feeds:
            self._let_go()
            if len(self._feeds) >= _MOST_SCOPES:
                return None
            self._feeds[scope] = LiveFeed()
        self._asked[scope] = self.clock()
        return self._feeds[scope]

    def _let_go(self) -> None:
        # Whoever asked a moment ago is about to watch.
        long_ago = self.clock() - _GRACE
        idle = [s for s, feed in self._feeds.items() if not feed.watchers and self._asked.get(s, 0.0) < long_ago]
        for scope in idle:
            if scope not in _ALWAYS:
                del self._feeds[scope]
                self._past_due.pop(scope, None)
                self._marks.pop(scope, None)
                self._asked.pop(scope, None)

    async def run(self, stop: asyncio.Event) -> None:
        """Keep all feeds fresh until stopped. Raises database errors that do not pass by themselves."""
        away = False
        while not stop.is_set():
            started = time.monotonic()
            try:
                async with self.pool.acquire() as connection:
                    await self.tick(connection)
                    await self._read_past(connection, started)
                away = False
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
                if not is_transient(error):
                    raise
                # The pages show by `as_of` that nothing new comes; one line for each time that PostgreSQL is away.
                if not away:
                    log.warning("will try again", action="retry", what="live page", error=type(error).__name__)
                away = True
                await self._wake_all()  # a look wakes them itself
            await asyncio.sleep(max(0.0, PERIOD - (time.monotonic() - started)))
        await self._wake_all()

    async def _wake_all(self) -> None:
        for feed in self._feeds.values():
            await feed.wake()

    async def tick(self, connection: Database) -> None:
        """Read every scope once, in one statement."""
        scopes = dict(self._feeds)
        today = today_in(self.zone, self.now())
        wanted = [
            w or _NOTHING for s in scopes for w in (s.total(today), s.parts(today), s.reasons(today), s.apart(today))
        ]
        rows = await connection.fetch(self._sql["live_cells"], *_columns(wanted), JOINT)
        now = self.now()
        found: dict[int, list[dict[str, Any]]] = {}
        for row in rows:
            found.setdefault(row["place"], []).append(cell_message(row, now))
        both = {"freshness": self.freshness.summary(now.timestamp()), "behind": self.reader.lag}
        for i, (scope, feed) in enumerate(scopes.items()):
            total, parts, reasons, apart = (found.get(4 * i + part, []) for part in (1, 2, 3, 4))
            picture = self._picture(scope, total[0] if total else None, parts, now)
            told = {
                "reasons": {c["value"]: c["suppressed"] for c in reasons},
                "apart": kept_apart(total[0] if total else None, apart),
            }
            await feed.take(picture | both | told, now.timestamp())

    def _picture(
        self, scope: Scope, total: dict[str, Any] | None, parts: Sequence[dict[str, Any]], now: datetime
    ) -> dict[str, Any]:
        named = [{**c, "value": c["value"].split(JOINT)[0]} for c in parts] if scope.method else parts
        told = rows_of(scope.rows, named, total)
        told["shown"] = told["shown"][:_MOST_ROWS]
        return {
            "as_of": now.isoformat(),
            "scope": {"span": scope.span, "rows": scope.rows, "method": scope.method, "zone": self.zone.key},
            "total": counters(total),
            "figures": figures(total),
            "terminals": told,
            "alerts": still_shown(self._marks.get(scope, ()), told["shown"]),
        }

    async def _read_past(self, connection: Database, at: float) -> None:
        due = [scope for scope in self._feeds if self._past_due.get(scope, 0.0) <= at]
        if not due:
            return
        self._let_go()
        today = today_in(self.zone, self.now())
        for scope in due:
            if scope in self._feeds:
                self._past_due[scope] = at + PAST_PERIOD
                await self._feeds[scope].take_past(await self._past(connection, scope, today))

    async def _past(self, connection: Database, scope: Scope, today: date) -> dict[str, Any]:
        day, total, parts = day_number(today), scope.total(today), scope.parts(today)

        async def days(wanted: Wanted, first: int) -> list[dict[str, Any]]:
            rows = await connection.fetch(
                self._sql["live_days"], wanted.cut, base_of(Window.DAY), first, day, wanted.value, wanted.method, JOINT
            )
            return [dict(r) for r in rows]

        cases = await connection.fetch(self._sql["open_cases"])
        by_day = await days(parts, day - DAYS + 1)
        since = marked_since(self.now(), self.zone)
        alarms = await connection.fetch(self._sql["alerts_to_mark"], parts.cut, since, parts.method, JOINT)
        self._marks[scope] = marks_of([dict(a) for a in alarms], by_day, self.zone)
        return past_of(
            day,
            by_day,
            await days(total, day - 7 * WEEKS),
            cases={r["terminal"]: r["cases"] for r in cases},
            by_terminal=scope.rows == "terminal" and not scope.method,
            with_usual=scope.span is Span.TODAY,
            disruptions=await self.disruptions.going_on(connection, self.now()),
        )


def _columns(wanted: Sequence[Wanted]) -> tuple[list[str], list[int], list[str | None], list[str | None]]:
    return (
        [w.cut for w in wanted],
        [w.code for w in wanted],
        [w.value for w in wanted],
        [w.method for w in wanted],
    )
