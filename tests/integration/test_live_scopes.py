"""What live pages look at, read from real tables: by span, by method, with reasons, past days and open cases."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from schemas.disruption import DeliveryDisruption
from services.aggregator.counting.complaints import KeepComplaints
from services.aggregator.counting.cuts import load_cuts
from services.aggregator.counting.reading import CountedAnswer, CountedDecision, Facts
from services.aggregator.counting.units import Units
from services.aggregator.handlers import CountBatch
from services.aggregator.live.disruptions import Disruptions
from services.aggregator.live.scope import Scope, Span
from services.aggregator.live.scopes import LiveScopes
from services.chassis.metrics import Metrics
from services.chassis.postgres import Pool
from services.chassis.records import Received
from tests.integration.test_complaints import case

pytestmark = pytest.mark.service("aggregator")

NOW = datetime(2026, 10, 12, 22, 30, tzinfo=UTC)
"""Half past midnight on 13 October in Stockholm."""


class Counter:
    lag = 0


async def count(
    pool: Pool, at: datetime, method: str, good: int, bad: int, *, unasked: int = 0, terminal: str = "Årsta"
) -> None:
    batch = CountBatch(Units(pool, load_cuts(None)), Metrics(), lambda _, __: None)

    def facts() -> Facts:
        name = uuid.uuid4().hex
        return Facts("Nordposten Demo", "SE", method, at, "Europe/Stockholm", name, terminal=terminal)

    asked = [CountedDecision("ask", 1, "asked", facts()) for _ in range(good + bad)]
    others = [CountedDecision("ask", 1, "suppressed", facts(), reason="not_sampled") for _ in range(unasked)]
    scores = [5] * good + [1] * bad
    answers = [CountedAnswer(uuid.uuid4(), 1, at, d.delivery, s) for d, s in zip(asked, scores, strict=True)]
    async with pool.acquire() as connection, connection.transaction():
        await batch(connection, [*asked, *others, *answers])


async def look(pool: Pool, *scopes: Scope) -> list[dict[str, Any]]:
    watched = LiveScopes(pool, Counter(), ZoneInfo("Europe/Stockholm"), now=lambda: NOW)  # type: ignore[arg-type]
    feeds = [watched.feed(scope) for scope in scopes]
    async with pool.acquire() as connection:
        await watched.tick(connection)
        await watched._read_past(connection, 1.0)
    return [{**feed.snapshot(), "past": feed._past} for feed in feeds if feed is not None]


async def test_each_scope_shows_its_own_span_and_method(pool: Pool) -> None:
    await count(pool, NOW, "home_day", 9, 1, unasked=3)
    await count(pool, NOW, "parcel_locker", 30, 0)
    await count(pool, NOW - timedelta(hours=1), "home_day", 100, 0)
    await count(pool, NOW - timedelta(days=60), "home_day", 1000, 0)
    scopes = [Scope(), Scope(method="home_day"), Scope(Span.MONTH), Scope(Span.ALL), Scope(rows="method")]
    today, by_method, month, ever, methods = await look(pool, *scopes)
    assert [p["figures"]["answers"] for p in (today, by_method, month, ever)] == [40, 10, 140, 1140]
    assert [(r["value"], r["answers"]) for r in by_method["terminals"]["shown"]] == [("Årsta", 10)]
    assert {r["value"]: r["answers"] for r in methods["terminals"]["shown"]} == {"home_day": 10, "parcel_locker": 30}
    assert today["reasons"] == {"not_sampled": 3}
    assert by_method["reasons"] == {}
    total = today["total"]
    assert (total["delivered"], total["asked"], total["suppressed"]) == (43, 40, 3)


async def raised(pool: Pool, value: str, minutes: float, *, days: int = 0, cut: str = "terminal") -> None:
    """An alarm about so many days ago that was raised so many minutes ago."""
    at = NOW - timedelta(minutes=minutes)
    day = 20739 - days
    await pool.execute(
        "INSERT INTO alert VALUES (gen_random_uuid(), $1, $2, $3, $4, '{}', $5)", cut, value, day, day - 2, at
    )


async def test_alerts_raised_today_or_in_the_last_minutes_are_told_of_the_rows_that_are_shown(pool: Pool) -> None:
    for terminal in ("Årsta", "Luleå", "Umeå"):
        await count(pool, NOW, "home_day", 9, 1, terminal=terminal)
        await count(pool, NOW - timedelta(days=1), "home_day", 9, 1, terminal=terminal)
    await raised(pool, "Årsta", 20, days=1)
    await raised(pool, "Luleå", 4, days=1)
    await raised(pool, "Umeå", 31, days=1)  # yesterday, at 23:59
    await raised(pool, "Årsta × home_day", 3, days=1, cut="terminal.method")
    scopes = [Scope(), Scope(method="home_day"), Scope(rows="country")]
    # The past of each scope tells the alarms to the next look.
    watched = LiveScopes(pool, Counter(), ZoneInfo("Europe/Stockholm"), now=lambda: NOW)  # type: ignore[arg-type]
    feeds = [feed for scope in scopes if (feed := watched.feed(scope)) is not None]
    async with pool.acquire() as connection:
        await watched._read_past(connection, 1.0)
        await watched.tick(connection)
    today, by_method, countries = [feed.snapshot()["alerts"] for feed in feeds]
    assert [(a["value"], a["time"], a["since"]) for a in today] == [
        ("Luleå", "00:26", "2026-10-10"),
        ("Årsta", "00:10", "2026-10-10"),
    ]
    assert [(a["value"], a["time"]) for a in by_method] == [("Årsta", "00:27")]
    assert countries == []


async def test_the_past_tells_of_disruptions_that_go_on(pool: Pool) -> None:
    rain = {
        "disruption_id": "rain-1",
        "revision": 1,
        "state": "active",
        "kind": "weather",
        "areas": [{"country": "SE"}],
        "starts_at": NOW - timedelta(minutes=9),
        "published_at": NOW,
    }
    async with pool.acquire() as connection:
        await Disruptions().keep(connection, [Received(DeliveryDisruption.model_validate(rain), None, NOW)])
    [told] = await look(pool, Scope())
    assert [(d["kind"], d["countries"]) for d in told["past"]["disruptions"]] == [("weather", ["SE"])]


async def test_the_past_holds_two_weeks_of_each_row_usual_weekdays_and_open_cases(pool: Pool) -> None:
    await count(pool, NOW, "home_day", 9, 1)
    await count(pool, NOW - timedelta(days=1), "home_day", 6, 2)
    for weeks in (1, 8, 9):
        await count(pool, NOW - timedelta(weeks=weeks), "home_day", 8, 2)
    told = [case("a"), case("b")]
    told[0] = told[0].model_copy(update={"delivery": told[0].delivery.model_copy(update={"terminal": "Årsta"})})
    async with pool.acquire() as connection, connection.transaction():
        await KeepComplaints()(connection, [Received(c, None, NOW) for c in told])
    today, by_method = await look(pool, Scope(), Scope(method="home_day"))
    assert today["past"]["days"]["Årsta"][-2:] == [0.75, 0.9]
    assert today["past"]["days"]["Årsta"][-8] == 0.8
    assert today["past"]["usual"]["satisfied"]["n"] == 20
    assert (today["past"]["cases"], today["past"]["open_cases"]) == ({"": 1, "Årsta": 1}, 2)
    assert by_method["past"]["days"]["Årsta"][-1] == 0.9
    assert by_method["past"]["cases"] is None
