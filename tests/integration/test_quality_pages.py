"""The public page over real tables: closed months only, the same figures in every form."""

import asyncio
import threading
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from starlette.applications import Starlette

from services.aggregator.counting.cuts import cut_named, load_cuts
from services.aggregator.counting.reading import CountedAnswer, CountedDecision, Facts
from services.aggregator.counting.units import Units
from services.aggregator.figures.interventions import Intervention, Ledger
from services.aggregator.figures.months import Months, month_number
from services.aggregator.handlers import CountBatch
from services.aggregator.quality.routes import QualityPages
from services.aggregator.statistics.response import Key, Stratum, Weighted, post_stratified
from services.chassis.http import make_app
from services.chassis.metrics import Metrics
from services.chassis.postgres import Pool
from tests.asgi import ask
from tests.months import PUBLISHER

pytestmark = pytest.mark.service("aggregator")

MIDDLE = datetime(2026, 9, 15, 10, tzinfo=UTC)
LATER = datetime(2026, 10, 20, tzinfo=UTC)
SEPTEMBER = month_number("2026-09")


@pytest.fixture
def moments() -> list[float]:
    """The clock of the pages; its last entry is now."""
    return [0.0]


@pytest.fixture
def app(pool: Pool, moments: list[float]) -> Starlette:
    async def ready() -> str | None:
        return None

    pages = QualityPages(pool, PUBLISHER, clock=lambda: moments[-1])
    return make_app(pages.routes(), ready=ready, metrics=Metrics())


async def count(
    pool: Pool, method: str, good: int, bad: int, *, silent: int = 0, receipts: int = 0, at: datetime = MIDDLE
) -> None:
    """So many satisfied, dissatisfied and silent recipients of deliveries in time; receipts tell of the first ones."""
    batch = CountBatch(Units(pool, load_cuts(None)), Metrics(), lambda _, __: None)

    def facts() -> Facts:
        name = uuid.uuid4().hex
        return Facts("Nordposten Demo", "SE", method, at, "Europe/Stockholm", name, terminal="Årsta", late=False)

    asked = [CountedDecision("ask", 1, "asked", facts()) for _ in range(good + bad + silent)]
    reached = [CountedDecision("reached", 1, "reached", d.delivery) for d in asked[:receipts]]
    answers = [
        CountedAnswer(uuid.uuid4(), 1, at, d.delivery, 5 if i < good else 1) for i, d in enumerate(asked[: good + bad])
    ]
    async with pool.acquire() as connection, connection.transaction():
        await batch(connection, [*asked, *reached, *answers])


async def close(pool: Pool, month: int = SEPTEMBER) -> None:
    async with pool.acquire() as connection:
        await Months(9).close(connection, month, LATER)


async def test_months_are_public_once_they_are_closed_and_not_before(
    pool: Pool, app: Starlette, moments: list[float]
) -> None:
    await count(pool, "home_day", 80, 20, silent=100)
    assert "Ingen månad är stängd än" in (await ask(app, "GET", "/quality")).text
    assert (await ask(app, "GET", "/quality/2026-09")).status == 404
    await close(pool)
    moments.append(61.0)
    page = await ask(app, "GET", "/quality")
    assert "<h1>september 2026</h1>" in page.text
    assert "71,1–86,7" in page.text
    assert (await ask(app, "GET", "/quality/2026-09?lang=en")).text.count("September 2026") > 0
    assert (await ask(app, "GET", "/quality/2026-08")).status == 404
    assert (await ask(app, "GET", "/quality/2026-09.xml")).status == 404
    assert (await ask(app, "GET", "/quality/september")).status == 404


async def test_json_and_csv_hold_what_was_counted(pool: Pool, app: Starlette) -> None:
    await count(pool, "home_day", 80, 20, silent=100)
    await count(pool, "home_box", 30, 0)
    await count(pool, "workplace", 60, 0)
    await count(pool, "home_day", 0, 60, at=MIDDLE - timedelta(days=365))
    await close(pool)
    await close(pool, SEPTEMBER - 12)
    told = (await ask(app, "GET", "/quality/2026-09.json")).json
    assert told["satisfied"]["n"] == 190
    assert told["satisfied"]["share"] == round(170 / 190, 5)
    assert told["in_time"]["share"] == 1.0
    assert told["bounds"] == [round(170 / 290, 5), round(270 / 290, 5)]
    assert {m["method"]: m["satisfied"] and m["satisfied"]["n"] for m in told["methods"]} == {
        "home_day": 100,
        "home_box": None,
        "workplace": None,
    }
    assert {m["month"]: m["satisfied"]["share"] for m in told["months"] if m["satisfied"]} == {
        "2025-09": 0.0,
        "2026-09": round(170 / 190, 5),
    }
    rows = (await ask(app, "GET", "/quality/2026-09.csv")).text.splitlines()
    assert rows[0] == "month,group,figure,value,low,high,n,note"
    assert rows[1].startswith("2026-09,all,satisfied,0.89474,")


async def test_closed_receipts_tell_the_rate_of_those_reached_and_months_closed_before_them_say_so(
    pool: Pool, app: Starlette
) -> None:
    await count(pool, "home_day", 80, 20, silent=100, receipts=160)
    await count(pool, "home_day", 80, 20, silent=100, at=MIDDLE - timedelta(days=31))
    await close(pool)
    async with pool.acquire() as connection:
        await Months(9).close(connection, SEPTEMBER - 1, LATER)
        # As rows of months are that were closed before receipts were counted.
        await connection.execute("ALTER TABLE closed_cell DISABLE TRIGGER closed_cell_stays")
        await connection.execute("UPDATE closed_cell SET reached = NULL WHERE month = $1", SEPTEMBER - 1)
    september, august = [(await ask(app, "GET", f"/quality/2026-0{month}.json")).json for month in (9, 8)]
    assert (september["response_of_reached"]["n"], september["response_of_reached"]["share"]) == (160, 0.625)
    assert (september["receipts"], september["response"]["share"]) == ("most", 0.5)
    assert (august["response_of_reached"], august["receipts"], august["response"]["share"]) == (None, "none", 0.5)
    assert "there are no receipts" in (await ask(app, "GET", "/quality/2026-08?lang=en")).text
    assert "of 160 reached" in (await ask(app, "GET", "/quality/2026-09?lang=en")).text


async def test_early_less_late_comes_from_the_wave_that_is_counted(pool: Pool, app: Starlette) -> None:
    await count(pool, "home_day", 40, 0)
    batch = CountBatch(Units(pool, [*load_cuts(None), cut_named("wave_5")]), Metrics(), lambda _, __: None)
    facts = Facts("Nordposten Demo", "SE", "home_day", MIDDLE, "Europe/Stockholm", "D", terminal="Årsta")
    for days, score in ((1, 5), (4, 5), (6, 1)):
        at = MIDDLE + timedelta(days=days)
        answers = [CountedAnswer(uuid.uuid4(), 1, at, facts, score, answered_at=at) for _ in range(50)]
        async with pool.acquire() as connection, connection.transaction():
            await batch(connection, list(answers))
    await close(pool)
    told = (await ask(app, "GET", "/quality/2026-09.json")).json["early_less_late"]
    assert (told["days"], told["early"]["n"], told["late"]["n"], told["value"]) == (5, 100, 50, 1.0)


async def test_every_correction_that_may_be_public_is_listed_on_each_months_page_once_it_is_made(
    pool: Pool, app: Starlette, moments: list[float]
) -> None:
    last_year = SEPTEMBER - 30
    await count(pool, "home_day", 80, 20, silent=100)
    await count(pool, "home_day", 80, 20, silent=100, at=MIDDLE - timedelta(days=913))
    await close(pool)
    await close(pool, last_year)

    async def corrected(month: int, more: int, reason: str) -> list[dict[str, Any]]:
        at = MIDDLE if month == SEPTEMBER else MIDDLE - timedelta(days=913)
        await count(pool, "home_day", more, 0, at=at)
        async with pool.acquire() as connection:
            await Months(9).revise(connection, month, reason, LATER + timedelta(days=more))
        moments.append(moments[-1] + 61)
        listed: list[dict[str, Any]] = (await ask(app, "GET", "/quality/2026-09.json")).json["all_corrections"]
        return [
            {k: c[k] for k in ("month", "reason")} | {s: c[s]["answers"] for s in ("before", "after")} for c in listed
        ]

    assert (await ask(app, "GET", "/quality/2026-09.json")).json["all_corrections"] == []
    assert await corrected(last_year, 49, "too small to be told alone") == []
    first = {"month": "2024-03", "reason": "late answers", "before": 100, "after": 150}
    assert await corrected(last_year, 1, "late answers") == [first]
    second = {"month": "2026-09", "reason": "a cell was lost", "before": 100, "after": 160}
    assert await corrected(SEPTEMBER, 60, "a cell was lost") == [second, first]
    page = (await ask(app, "GET", "/quality/2024-03")).text
    assert "a cell was lost" in page
    assert "too small to be told alone" not in page


async def test_a_closed_month_is_weighed_once_for_all_readers_and_not_in_the_loop_that_counts(
    pool: Pool, app: Starlette, moments: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    weighed: list[bool] = []

    def weigh(strata: Mapping[Key, Stratum]) -> Weighted | None:
        weighed.append(threading.current_thread() is threading.main_thread())
        return post_stratified(strata)

    monkeypatch.setattr("services.aggregator.quality.weighed.post_stratified", weigh)
    last_month = MIDDLE - timedelta(days=31)
    await count(pool, "home_day", 80, 20)
    await count(pool, "home_day", 60, 40, at=last_month)
    await close(pool)
    await close(pool, SEPTEMBER - 1)
    told = await asyncio.gather(*(ask(app, "GET", f"/quality/2026-0{month}.json") for month in (8, 9) * 10))
    assert {answer.json["satisfied"]["share"] for answer in told} == {0.6, 0.8}
    assert weighed == [False, False]
    moments.append(61.0)
    assert (await ask(app, "GET", "/quality/2026-09.json")).status == 200
    assert weighed == [False, False]  # what is closed never changes
    await count(pool, "home_day", 60, 0, at=last_month)
    async with pool.acquire() as connection:
        await Months(9).revise(connection, SEPTEMBER - 1, "late answers", LATER)
    moments.append(122.0)
    again = (await ask(app, "GET", "/quality/2026-09.json")).json
    assert [m["satisfied"]["share"] for m in again["months"] if m["satisfied"]] == [0.75, 0.8]
    assert len(weighed) > 2
    assert not any(weighed)


async def test_a_reader_who_has_the_page_is_told_so_and_many_readers_cost_one_reading(
    pool: Pool, app: Starlette, moments: list[float]
) -> None:
    await count(pool, "home_day", 80, 20)
    async with pool.acquire() as connection:
        await Ledger().add(connection, Intervention("kvällsleverans", "country", "SE", MIDDLE.date()))
    await close(pool)
    first = await ask(app, "GET", "/quality")
    assert "kvällsleverans" in first.text
    again = await ask(app, "GET", "/quality", headers=[("if-none-match", first.headers["etag"])])
    assert (again.status, again.body) == (304, b"")
    await pool.execute("DROP TABLE intervention")
    assert (await ask(app, "GET", "/quality")).body == first.body
    moments.append(61.0)
    with pytest.raises(asyncpg.UndefinedTableError):
        await ask(app, "GET", "/quality")
