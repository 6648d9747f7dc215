"""Partners with their views, answers about their deliveries, and what is published to them."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from services.aggregator.counting.cuts import load_cuts
from services.aggregator.counting.reading import CountedAnswer, Facts
from services.aggregator.counting.units import Units
from services.aggregator.handlers import CountBatch
from services.aggregator.partners.moments import Publication
from services.aggregator.partners.partners import Partners
from services.aggregator.partners.views import View
from services.chassis.metrics import Metrics
from services.chassis.postgres import Pool
from services.chassis.settings import Settings

REGISTERED = datetime(2026, 9, 30, 12, tzinfo=UTC)
FIRST = datetime(2026, 10, 5, 10, tzinfo=UTC)
TWO_DAYS = (datetime(2026, 10, 2, 10, tzinfo=UTC), datetime(2026, 10, 3, 10, tzinfo=UTC))
SCORES = (5, 4, 5, 2, 5, 3, 5, 4, 1, 5)


def view(partner: str = "fjallbod", merchants: Sequence[str] | None = ("Fjällbod",), **more: Any) -> View:
    cuts = more.get("cuts", ("merchant.method",) if merchants else ("method",))
    return View(partner, "partner", tuple(merchants) if merchants else None, cuts, "month", "day", b"secret")


async def register(pool: Pool, wanted: View) -> str:
    async with pool.acquire() as connection:
        return (await Partners().add(connection, wanted, load_cuts(None), REGISTERED)).text


async def count(
    pool: Pool, numbers: range, *, merchant: str = "Fjällbod", method: str = "home_day", revision: int = 1, **more: Any
) -> None:
    answers = []
    for number in numbers:
        at = TWO_DAYS[number % 2]
        facts = Facts("Nordposten Demo", "SE", method, at, "Europe/Stockholm", f"D-{number}", merchant_id=merchant)
        score = SCORES[number % 10]
        answers.append(CountedAnswer(uuid.UUID(int=number), revision, at, facts, score, **more))
    batch = CountBatch(Units(pool, load_cuts(None)), Metrics(), lambda _, __: None)
    async with pool.acquire() as connection, connection.transaction():
        await batch(connection, list(answers))


async def publish(pool: Pool, settings: Settings, day: int = 0, partner: str = "fjallbod") -> int | None:
    async with pool.acquire() as connection:
        return await Publication(settings).make(connection, partner, FIRST + timedelta(days=day))


async def seen(pool: Pool, partner: str = "fjallbod") -> dict[str, Any]:
    async with pool.acquire() as connection:
        rows = await connection.fetch("SELECT key, value FROM partner_cell WHERE partner = $1", partner)
    return {r["key"]: r["value"] and orjson.loads(r["value"])["answers"] for r in rows}


TOTAL = "total||unit|month|2026-10"
HOME = "merchant.method|Fjällbod × home_day|unit|month|2026-10"
GROUP = "merchant.method||grouped|month|2026-10"
