"""What the dispatcher does around its claims, without any server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import asyncpg
import pytest
from structlog.testing import capture_logs

from services.chassis.metrics import Metrics
from services.chassis.postgres import Pool, named_sql
from services.chassis.settings import Settings
from services.notifier.channels.routed import Provider, Routed
from services.notifier.policy import LANGUAGES
from services.notifier.render import Renderer
from tests.sending import CAPPED, ScriptedChannel, dispatcher

SQL = named_sql("services.notifier", "claim.sql", "history.sql")


@dataclass
class EmptyTables:
    """A pool of one connection that finds nothing, and notes what it was asked."""

    failure: Exception | None = None
    asked: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator["EmptyTables"]:
        yield self

    def transaction(self) -> "EmptyTables":
        return self

    async def start(self) -> None:
        self.asked.append("begin")

    async def rollback(self) -> None:
        self.asked.append("rollback")

    async def fetch(self, query: str, *_: Any) -> list[Any]:
        if self.failure is not None:
            raise self.failure
        self.asked.append(query)
        return []


async def run_to_its_end(tables: EmptyTables) -> None:
    """As the application runs it; told to stop before it could claim."""
    stop = asyncio.Event()
    stop.set()
    await dispatcher(cast("Pool", tables), Settings(), ScriptedChannel()).run(stop)


async def test_statements_are_tried_before_the_first_claim() -> None:
    tables = EmptyTables()
    await run_to_its_end(tables)
    statements = ("lock_due", "lock_any", "open_disruptions", "claim")
    assert tables.asked == ["begin", *(SQL[name] for name in statements), "rollback"]


async def test_words_of_every_language_are_known_before_the_first_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    rendered: list[tuple[str, bool]] = []
    monkeypatch.setattr(Renderer, "render", lambda _, i: rendered.append((i.language, i.reminder)))
    await run_to_its_end(EmptyTables())
    assert sorted(rendered) == sorted((language, reminder) for language in LANGUAGES for reminder in (False, True))


async def test_a_database_that_is_away_at_the_trial_is_only_told() -> None:
    with capture_logs() as lines:
        await run_to_its_end(EmptyTables(asyncpg.CannotConnectNowError()))
    assert [line["event"] for line in lines] == ["the first claim will take longer"]


async def test_a_statement_that_can_never_work_is_known_at_the_trial() -> None:
    with pytest.raises(asyncpg.UndefinedTableError):
        await run_to_its_end(EmptyTables(asyncpg.UndefinedTableError()))


def test_a_send_is_taken_from_its_process_only_when_its_providers_time_outs_are_over() -> None:
    slow = Routed([Provider("post", 100, ScriptedChannel(), 90.0)], Metrics())
    sender = dispatcher(cast("Pool", EmptyTables()), Settings(), slow, CAPPED)
    assert (sender._claiming.claims.lease_seconds, sender.sweep.lease_seconds) == (95, 95)
