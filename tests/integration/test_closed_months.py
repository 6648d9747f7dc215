"""Closed months against a real PostgreSQL: of one moment, told as they were closed, never changed."""

import json
import uuid
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from starlette.applications import Starlette
from typer.testing import CliRunner

from services.aggregator.counting.cuts import load_cuts
from services.aggregator.counting.reading import CountedAnswer, CountedDecision, Facts
from services.aggregator.counting.units import Units
from services.aggregator.counting.zone_data import note_zone_data, noted_zone_data
from services.aggregator.figures.months import Months
from services.aggregator.handlers import CountBatch
from services.aggregator.quality.documents import as_csv, document
from services.aggregator.quality.figures import Quality, quality_of
from services.aggregator.quality.known_months import KnownMonths
from services.aggregator.quality.months import ClosedMonths
from services.chassis.failures import MustStop
from services.chassis.metrics import Metrics
from services.chassis.postgres import Pool
from services.cli import app as commands
from services.cli import figures as figures_commands
from tests.asgi import ask
from tests.terminal_answers import NOW, OCTOBER, app, count

__all__ = ["app"]

pytestmark = pytest.mark.service("aggregator")


async def test_a_closed_month_stays_as_it_was_until_it_is_revised(pool: Pool, app: Starlette) -> None:
    months = Months(14)
    later = datetime(2026, 11, 15, 12, tzinfo=UTC)
    await count(pool, "Luleå", NOW, 7, 1)
    async with pool.acquire() as connection:
        with pytest.raises(MustStop, match="answers still come"):
            await months.close(connection, OCTOBER, later - timedelta(seconds=1))
        assert (await ask(app, "GET", "/api/months/2026-10")).json["state"] == "provisional"
        assert await months.due(connection, later) == [OCTOBER]
        await months.close(connection, OCTOBER, later)
        assert await months.due(connection, later) == []
        with pytest.raises(MustStop, match="is closed"):
            await months.close(connection, OCTOBER, later)
        with pytest.raises(MustStop, match="nothing in 2026-10 changed"):
            await months.revise(connection, OCTOBER, "late answers", later)
    await count(pool, "Luleå", NOW, 0, 2)
    closed = (await ask(app, "GET", "/api/months/2026-10?cut=terminal")).json
    assert (closed["state"], closed["revision"]) == ("closed", 1)
    assert [(c["value"], c["scores"], c["answers"]) for c in closed["cells"]] == [("Luleå", [1, 0, 0, 0, 7], 8)]
    async with pool.acquire() as connection:
        with pytest.raises(MustStop, match="reason"):
            await months.revise(connection, OCTOBER, " ", later)
        assert await months.revise(connection, OCTOBER, "late answers", later) == 2
    revised = (await ask(app, "GET", "/api/months/2026-10?cut=terminal")).json
    assert (revised["revision"], revised["cells"][0]["scores"]) == (2, [3, 0, 0, 0, 7])
    [listed] = (await ask(app, "GET", "/api/months")).json["months"]
    assert [(r["revision"], r["reason"]) for r in listed["revisions"]] == [(1, "closed"), (2, "late answers")]
    assert (listed["state"], listed["moved"]) == ("closed", 0)
    assert json.loads(
        await pool.fetchval("SELECT json_agg(s1 ORDER BY revision) FROM closed_cell WHERE cut = 'total'")
    ) == [1, 3]


async def test_a_closed_month_tells_with_which_time_zones_it_was_counted(
    pool: Pool, app: Starlette, monkeypatch: pytest.MonkeyPatch
) -> None:
    months = Months(0)
    await count(pool, "Luleå", NOW - timedelta(days=30), 7, 1)
    await count(pool, "Luleå", NOW, 7, 1)
    async with pool.acquire() as connection:
        await months.close(connection, OCTOBER, datetime(2026, 11, 2, tzinfo=UTC))
        starts = [("2025b", "2026-01-01"), ("2026a", "2026-09-29"), ("2026a", "2026-10-02"), ("2026b", "2026-11-01")]
        for version, day in starts:
            await note_zone_data(connection, version, datetime.fromisoformat(f"{day}T12:00:00+00:00"))
        await count(pool, "Luleå", NOW, 0, 2)
        await months.revise(connection, OCTOBER, "late answers", datetime(2026, 11, 3, tzinfo=UTC))
        await months.close(connection, OCTOBER - 1, datetime(2026, 11, 3, tzinfo=UTC))
        assert await noted_zone_data(connection) == ["2025b", "2026a", "2026b"]
    september, october = (await ask(app, "GET", "/api/months")).json["months"]
    # In October nobody counted by 2025b any more; the first closing came before versions were kept.
    assert [r["zone_data"] for r in october["revisions"]] == [None, ["2026a", "2026b"]]
    assert [r["zone_data"] for r in september["revisions"]] == [["2025b", "2026a", "2026b"]]
    shown = document(await public(pool, OCTOBER - 1), None)
    assert (shown["month"], shown["zone_data"]) == ("2026-09", ["2025b", "2026a", "2026b"])
    monkeypatch.setattr(figures_commands, "asked", lambda *_: [september, october])
    done = CliRunner().invoke(commands, ["months", "list"])
    assert (
        "revision 1  2026-11-02  closed\n    revision 2  2026-11-03  late answers  (time-zone data 2026a, 2026b)\n"
        in (done.stdout)
    )


async def public(pool: Pool, month: int) -> Quality:
    """The figures of a month for everybody."""
    async with pool.acquire() as connection:
        latest = await ClosedMonths().revisions(connection)
    return quality_of(month, await KnownMonths(pool).until(month, latest))


async def deliver(pool: Pool, terminal: str, at: datetime, *, delivered: int, good: int, bad: int) -> None:
    """Count deliveries of which all are asked about and the first ones are answered."""
    batch = CountBatch(Units(pool, load_cuts(None)), Metrics(), lambda _, __: None)
    facts = [
        Facts("Nordposten Demo", "SE", "home_day", at, "Europe/Stockholm", f"{terminal}-{at}-{n}", terminal=terminal)
        for n in range(delivered)
    ]
    asked = [CountedDecision("ask", 1, "asked", f) for f in facts]
    scores = [5] * good + [1] * bad
    answers = [CountedAnswer(uuid.uuid4(), 1, at, f, s) for f, s in zip(facts, scores, strict=False)]
    async with pool.acquire() as connection, connection.transaction():
        await batch(connection, [*asked, *answers])


async def test_a_month_too_biased_to_publish_is_a_gap_in_every_later_month(pool: Pool) -> None:
    year_ago = NOW.replace(year=2025)
    # n Σ(N² / n) / N² = 80 * (100² / 10 + 70² / 70) / 170² = 2.96; both terminals as satisfied, so nothing is moved
    await deliver(pool, "Luleå", year_ago, delivered=100, good=8, bad=2)
    await deliver(pool, "Årsta", year_ago, delivered=70, good=56, bad=14)
    await deliver(pool, "Luleå", NOW, delivered=60, good=48, bad=12)
    async with pool.acquire() as connection:
        for month in (OCTOBER - 12, OCTOBER):
            await Months(0).close(connection, month, datetime(2026, 11, 2, tzinfo=UTC))
    then, now = await public(pool, OCTOBER - 12), await public(pool, OCTOBER)
    assert (then.too_biased, then.reasons) == (True, ["weights_uneven"])
    assert now.satisfied is not None
    assert (now.satisfied.n, now.satisfied.share) == (60, 0.8)
    assert now.last_year is not None
    assert (now.last_year.satisfied, now.last_year.too_biased) == (None, True)
    told = {m["month"]: m["satisfied"] for m in document(now, None)["months"]}
    assert told["2025-10"] is None
    assert "2025-10,all,satisfied,,,," in as_csv(now, None)
    [home] = now.methods
    assert [share and share.n for share in home.series] == [None] * 12 + [60]


@pytest.mark.parametrize("cut", ["driver", "terminal.driver"])
async def test_a_month_of_single_drivers_is_told_to_nobody_open_or_closed(pool: Pool, app: Starlette, cut: str) -> None:
    await count(pool, "Luleå", NOW, 7, 1)
    provisional = await ask(app, "GET", f"/api/months/2026-10?cut={cut}")
    async with pool.acquire() as connection:
        await Months(0).close(connection, OCTOBER, datetime(2026, 11, 2, tzinfo=UTC))
    closed = await ask(app, "GET", f"/api/months/2026-10?cut={cut}")
    assert [r.status for r in (provisional, closed)] == [403, 403]
    assert closed.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE closed_cell SET s5 = s5 + 1",
        "DELETE FROM closed_cell",
        "UPDATE closed_month SET reason = 'x'",
        "DELETE FROM closed_month",
        "TRUNCATE closed_cell",
        "TRUNCATE closed_month CASCADE",
        "UPDATE closed_complaint SET complaints = 0",
        "DELETE FROM closed_complaint",
        "TRUNCATE closed_complaint",
        "UPDATE closed_question SET answers = 0",
        "DELETE FROM closed_question",
        "TRUNCATE closed_question",
        "UPDATE closed_position SET next = 0",
        "DELETE FROM closed_position",
        "TRUNCATE closed_position",
        "UPDATE closed_cut SET windows = 1",
        "DELETE FROM closed_cut",
        "TRUNCATE closed_cut",
    ],
)
async def test_nothing_can_change_a_closed_month(pool: Pool, change: str) -> None:
    await count(pool, "Luleå", NOW, 7, 1)
    async with pool.acquire() as connection:
        await Months(0).close(connection, OCTOBER, datetime(2026, 11, 2, tzinfo=UTC))
    with pytest.raises(asyncpg.RestrictViolationError, match="never changes"):
        await pool.execute(change)


async def test_a_closed_month_keeps_what_was_asked_beside_the_faces(pool: Pool, app: Starlette) -> None:
    batch = CountBatch(Units(pool, load_cuts(None)), Metrics(), lambda _, __: None)
    facts = Facts("Nordposten Demo", "SE", "home_day", NOW, "Europe/Stockholm", "D-1", terminal="Luleå", driver="F-1")

    three = {"satisfaction": 9, "expectancy": 8, "ideal": 7}

    async def say(ease: int, *responses: int) -> None:
        answers = [
            CountedAnswer(uuid.UUID(int=n), 1, NOW, facts, 5, follow_ups={"ease": ease} | three) for n in responses
        ]
        async with pool.acquire() as connection, connection.transaction():
            await batch(connection, list(answers))

    async def told() -> dict[str, int]:
        [cell] = (await ask(app, "GET", "/api/months/2026-10?cut=terminal")).json["cells"]
        values: dict[str, int] = cell["questions"]["ease"]["values"]
        return values

    later = datetime(2026, 11, 2, tzinfo=UTC)
    await say(4, *range(6))
    assert await told() == {"4": 6}
    async with pool.acquire() as connection:
        await Months(0).close(connection, OCTOBER, later)
    await say(1, 7)
    assert await told() == {"4": 6}
    async with pool.acquire() as connection:
        month = (await ClosedMonths().rows(connection, OCTOBER)).month()
    assert month.shown.sums == {24: 6}
    async with pool.acquire() as connection:
        await Months(0).revise(connection, OCTOBER, "late answers", later)
        with pytest.raises(MustStop, match="nothing in 2026-10 changed"):
            await Months(0).revise(connection, OCTOBER, "again", later)
    assert await told() == {"1": 1, "4": 6}
    cuts = {r["cut"] for r in await pool.fetch("SELECT DISTINCT cut FROM closed_question")}
    assert {"total", "terminal"} <= cuts
    assert "driver" not in cuts


async def test_a_month_in_which_nothing_was_counted_is_not_closed(pool: Pool) -> None:
    async with pool.acquire() as connection:
        with pytest.raises(MustStop, match="nothing was counted"):
            await Months(0).close(connection, OCTOBER, datetime(2026, 11, 2, tzinfo=UTC))
    assert await pool.fetchval("SELECT count(*) FROM closed_month") == 0
