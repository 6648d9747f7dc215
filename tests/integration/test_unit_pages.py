"""A terminal's and a driver's page over real tables, and who may open them."""

import uuid
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import HTTPConnection

from services.aggregator.counting.cuts import load_cuts
from services.aggregator.counting.reading import CountedAnswer, Facts
from services.aggregator.counting.units import Units
from services.aggregator.figures.months import Months, month_number
from services.aggregator.handlers import CountBatch
from services.aggregator.staff.driver import DriverPages
from services.aggregator.staff.terminal import TerminalPages
from services.chassis.http import make_app
from services.chassis.metrics import Metrics
from services.chassis.postgres import Pool
from services.chassis.settings import Settings
from services.chassis.staff import Member, Role
from tests.asgi import ask
from tests.members import HeaderGate
from tests.tables import empty_pool

NOW = datetime(2026, 10, 20, 15, tzinfo=UTC)
DRIVER = Member("driver-1", "Dag Förare", {"F-17": Role.DRIVER})


class WithDriver(HeaderGate):
    def who(self, connection: HTTPConnection) -> Member | None:
        return DRIVER if connection.headers.get("x-member") == "driver-1" else super().who(connection)


@pytest.fixture(scope="module")
def settings(shared_settings: Settings) -> Settings:
    return shared_settings


@pytest.fixture
async def pool(settings: Settings) -> AsyncIterator[Pool]:
    async with empty_pool(settings, "aggregator") as empty:
        yield empty


@pytest.fixture
def app(pool: Pool) -> Starlette:
    async def ready() -> str | None:
        return None

    routes: Sequence[Any] = [
        *TerminalPages(pool, lambda: NOW).routes(),
        *DriverPages(pool, WithDriver(), lambda: NOW).routes(),
    ]
    return make_app(routes, ready=ready, metrics=Metrics())


async def count(pool: Pool, at: datetime, *scores: int, terminal: str = "Årsta", driver: str = "F-17") -> None:
    batch = CountBatch(Units(pool, load_cuts(None)), Metrics(), lambda _, __: None)
    facts = Facts("Nordposten Demo", "SE", "home_day", at, "Europe/Stockholm", "D", terminal=terminal, driver=driver)
    answers = [CountedAnswer(uuid.uuid4(), 1, at, facts, score) for score in scores]
    async with pool.acquire() as connection, connection.transaction():
        await batch(connection, list(answers))


async def test_a_terminals_page_tells_of_its_own_four_weeks(pool: Pool, app: Starlette) -> None:
    await count(pool, NOW, *[5] * 8, 1, 1)
    await count(pool, NOW - timedelta(days=40), *[1] * 50)
    await count(pool, NOW, *[5] * 90, terminal="Luleå")
    page = await ask(app, "GET", "/terminals/Årsta")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "80\u00a0%" in page.text
    assert "home day" in page.text
    assert (await ask(app, "GET", "/terminals/Kiruna")).status == 404
    assert (await ask(app, "GET", "/terminals/\x00")).status == 404


async def test_only_the_driver_opens_the_drivers_page(pool: Pool, app: Starlette) -> None:
    september = datetime(2026, 9, 1, 12, tzinfo=UTC)
    for day in range(5):
        await count(pool, september + timedelta(days=day), 1, 5, 5)
    await count(pool, NOW, 1, 1, 1, 5, 4)
    await count(pool, NOW, 5, 5, 5, driver="F-18")
    async with pool.acquire() as connection:
        await Months(9).close(connection, month_number("2026-09"), NOW)
    assert (await ask(app, "GET", "/drivers/me")).status == 401
    assert (await ask(app, "GET", "/drivers/me", headers=[("x-member", "lead-1")])).status == 403
    page = (await ask(app, "GET", "/drivers/me", headers=[("x-member", "driver-1")])).text
    assert '<dd class="lead">2</dd>' in page
    assert "September 2026" in page
    assert "67\u00a0%" in page
    assert "33\u00a0%" in page
