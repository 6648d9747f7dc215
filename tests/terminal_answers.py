"""Answers about terminals as the counters keep them, and the API that tells their figures."""

import uuid
from datetime import UTC, datetime

import pytest
from starlette.applications import Starlette

from services.aggregator.counting.cuts import load_cuts
from services.aggregator.counting.reading import CountedAnswer, Facts
from services.aggregator.counting.units import Units
from services.aggregator.figures import routes as figure_routes
from services.aggregator.figures.months import month_number
from services.aggregator.handlers import CountBatch
from services.chassis.http import make_app
from services.chassis.metrics import Metrics
from services.chassis.postgres import Pool
from services.chassis.settings import Settings

NOW = datetime(2026, 10, 20, 15, tzinfo=UTC)
OCTOBER = month_number("2026-10")


@pytest.fixture
def app(pool: Pool, settings: Settings) -> Starlette:
    async def ready() -> str | None:
        return None

    return make_app(list(figure_routes.routes(pool, settings)), ready=ready, metrics=Metrics())


async def count(pool: Pool, terminal: str, at: datetime, good: int, bad: int) -> list[uuid.UUID]:
    """Count answers; returns the bad ones."""
    batch = CountBatch(Units(pool, load_cuts(None)), Metrics(), lambda _, __: None)
    facts = Facts("Nordposten Demo", "SE", "home_day", at, "Europe/Stockholm", "D-1", terminal=terminal)
    answers = [CountedAnswer(uuid.uuid4(), 1, at, facts, 5 if i < good else 1) for i in range(good + bad)]
    async with pool.acquire() as connection, connection.transaction():
        await batch(connection, list(answers))
    return [a.response_id for a in answers[good:]]
