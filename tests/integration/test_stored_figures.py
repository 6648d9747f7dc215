"""Alarms, interventions and digests against a real PostgreSQL: told once, and compared rightly."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from starlette.applications import Starlette
from typer.testing import CliRunner, Result

from schemas.satisfaction import SatisfactionAlert
from services.aggregator.digests import routes as digest_routes
from services.aggregator.figures.alerts import Alerts, watch
from services.aggregator.figures.interventions import Intervention, Ledger
from services.chassis.failures import MustStop
from services.chassis.http import make_app
from services.chassis.metrics import Metrics
from services.chassis.postgres import Pool
from services.chassis.settings import Settings
from services.cli import app as commands
from tests.asgi import Reply, ask
from tests.members import HeaderGate
from tests.terminal_answers import NOW, app, count

__all__ = ["app"]

pytestmark = pytest.mark.service("aggregator")


async def usual_months(pool: Pool) -> None:
    for terminal in ("Luleå", "Årsta"):
        await count(pool, terminal, NOW - timedelta(days=45), 95, 5)


OVER = datetime(2026, 10, 21, 12, tzinfo=UTC)
"""The day of NOW is over in every zone."""


async def look(pool: Pool, now: datetime = OVER) -> list[SatisfactionAlert]:
    async with pool.acquire() as connection:
        return await Alerts(("terminal",)).look(connection, now)


async def test_a_terminal_that_turned_worse_is_told_of_once_with_the_responses_that_drove_it(
    pool: Pool, app: Starlette
) -> None:
    await usual_months(pool)
    await count(pool, "Årsta", NOW, 30, 1)
    await count(pool, "Luleå", NOW - timedelta(days=1), 20, 0)
    bad = await count(pool, "Luleå", NOW, 10, 12)
    [told] = await look(pool)
    assert (told.cut, told.value, told.start, told.since) == ("terminal", "Luleå", "2026-10-20", "2026-10-20")
    assert (told.dissatisfied, told.answers, told.share) == (12, 22, 12 / 22)
    # (10 + 0.5) / (200 + 1) of both terminals, which do not differ
    assert told.expected == pytest.approx((5 + 200 * 10.5 / 201) / 300, abs=1e-6)
    assert set(told.responses) == {str(r) for r in bad}
    [row] = await pool.fetch("SELECT topic, key, value FROM outbox")
    assert (row["topic"], row["key"].decode()) == ("satisfaction.alert.v1", told.alert_id)
    assert SatisfactionAlert.model_validate_json(row["value"]) == told
    assert await look(pool) == []
    assert await pool.fetchval("SELECT count(*) FROM outbox") == 1
    listed = (await ask(app, "GET", "/api/alerts?cut=terminal")).json["alerts"]
    assert [a["alert_id"] for a in listed] == [told.alert_id]
    assert (await ask(app, "GET", "/api/alerts?cut=route")).json == {"alerts": []}


async def test_of_more_than_a_hundred_responses_an_alert_names_those_with_comments_first(pool: Pool) -> None:
    await usual_months(pool)
    bad = await count(pool, "Luleå", NOW, 10, 120)
    await pool.execute("UPDATE answer SET commented = true WHERE response_id = ANY($1)", spoken := sorted(bad)[-3:])
    [told] = await look(pool)
    assert len(told.responses) == 100
    assert told.responses[:3] == tuple(str(r) for r in spoken)


async def test_the_same_counts_give_the_same_alarm_after_everything_was_counted_anew(pool: Pool) -> None:
    await usual_months(pool)
    await count(pool, "Luleå", NOW, 10, 12)
    [first] = await look(pool)
    await pool.execute("TRUNCATE alert, judged_day")
    [again] = await look(pool, NOW + timedelta(days=3))
    assert again.alert_id == first.alert_id
    assert again.model_copy(update={"raised_at": first.raised_at}) == first


async def test_a_day_is_judged_once_and_not_before_it_is_over_however_often_somebody_looks(pool: Pool) -> None:
    await usual_months(pool)
    await count(pool, "Luleå", NOW, 10, 12)
    for minutes in (1, 60, 12 * 60, 21 * 60 - 1):
        assert await look(pool, NOW + timedelta(minutes=minutes)) == []
    assert [t.start for t in await look(pool)] == ["2026-10-20"]
    # What comes late turns days that were judged already; neither is looked at again.
    await count(pool, "Luleå", NOW - timedelta(days=1), 0, 12)
    await count(pool, "Årsta", NOW, 10, 12)
    for minutes in (1, 60, 24 * 60 - 1):
        assert await look(pool, OVER + timedelta(minutes=minutes)) == []


async def test_late_answers_tell_of_a_day_that_was_judged_with_the_next_one_that_has_answers(pool: Pool) -> None:
    await usual_months(pool)
    await count(pool, "Luleå", NOW, 10, 0)
    assert await look(pool) == []
    await count(pool, "Luleå", NOW, 0, 12)
    await count(pool, "Luleå", NOW + timedelta(days=1), 5, 0)
    [told] = await look(pool, OVER + timedelta(days=1))
    assert (told.start, told.since, told.dissatisfied, told.answers) == ("2026-10-21", "2026-10-20", 12, 27)


async def test_the_last_day_of_a_month_is_judged_although_nobody_looked_before_the_next_one(pool: Pool) -> None:
    await usual_months(pool)
    await count(pool, "Luleå", NOW, 20, 0)
    assert await look(pool) == []
    await count(pool, "Luleå", datetime(2026, 10, 31, 15, tzinfo=UTC), 10, 12)
    await count(pool, "Årsta", datetime(2026, 11, 2, 15, tzinfo=UTC), 10, 12)
    told = await look(pool, datetime(2026, 11, 3, 12, tzinfo=UTC))
    assert [(t.value, t.start) for t in told] == [("Luleå", "2026-10-31"), ("Årsta", "2026-11-02")]


async def test_a_cut_of_which_nothing_is_counted_yet_stays_to_be_judged(pool: Pool) -> None:
    assert await look(pool) == []
    await usual_months(pool)
    assert await look(pool) == []
    await count(pool, "Luleå", NOW, 10, 12)
    assert len(await look(pool)) == 1


async def test_the_watch_judges_nothing_while_it_is_not_known_that_all_was_counted(pool: Pool) -> None:
    stop, asked = asyncio.Event(), []

    class Looked(Alerts):
        async def look(self, *_: Any, **__: Any) -> list[SatisfactionAlert]:
            asked.append("look")
            stop.set()
            return []

    def counted() -> bool:
        asked.append("counted")
        return len(asked) > 2

    async with asyncio.timeout(9):
        await watch(pool, Looked(("terminal",)), 0.01, stop, counted=counted)
    assert asked == ["counted", "counted", "counted", "look"]


async def test_the_watch_judges_days_by_the_clock_of_the_database(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    class Ahead(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> "Ahead":
            return super().now(tz) + timedelta(days=3)

    stop, looked = asyncio.Event(), []

    class Looked(Alerts):
        async def look(self, _: Any, now: datetime) -> list[SatisfactionAlert]:
            looked.append(now)
            stop.set()
            return []

    monkeypatch.setattr("services.aggregator.figures.alerts.datetime", Ahead)
    async with asyncio.timeout(9):
        await watch(pool, Looked(("terminal",)), 0.01, stop)
    assert abs(looked[0] - datetime.now(UTC)) < timedelta(hours=1)


async def test_without_months_before_nothing_is_watched(pool: Pool) -> None:
    await count(pool, "Luleå", NOW, 0, 50)
    assert await look(pool) == []


async def test_an_intervention_is_compared_with_other_terminals(pool: Pool, app: Starlette) -> None:
    start = date(2026, 10, 1)
    noon = datetime(2026, 10, 1, 12, tzinfo=UTC)
    await count(pool, "Luleå", noon - timedelta(days=1), 48, 32)
    await count(pool, "Luleå", noon, 56, 14)
    await count(pool, "Årsta", noon - timedelta(days=28), 60, 40)
    await count(pool, "Årsta", noon + timedelta(days=27), 70, 30)
    for outside in (-29, 28):
        await count(pool, "Årsta", noon + timedelta(days=outside), 0, 100)
    marked = Intervention("evening delivery", "terminal", "Luleå", start)
    async with pool.acquire() as connection:
        assert await Ledger().add(connection, marked) == 1
        with pytest.raises(MustStop, match="marked already"):
            await Ledger().add(connection, marked)
        with pytest.raises(MustStop, match="people are not compared"):
            await Ledger().add(connection, Intervention("training", "driver", "F-17", start))
    [told] = (await ask(app, "GET", "/api/interventions")).json["interventions"]
    assert (told["value"], told["starts_on"], told["ends_on"]) == ("Luleå", "2026-10-01", "2026-10-28")
    assert [told[side]["answers"] for side in ("before", "after", "others_before", "others_after")] == [
        80,
        70,
        100,
        100,
    ]
    assert told["change"] == pytest.approx([0.2, 0.0524, 0.3339], abs=5e-5)
    assert told["effect"][0] == pytest.approx(0.1)
    assert told["sure"] is False


async def test_an_intervention_shows_nothing_of_too_few(pool: Pool, app: Starlette) -> None:
    await count(pool, "Luleå", NOW, 4, 0)
    async with pool.acquire() as connection:
        await Ledger().add(connection, Intervention("lockers", "terminal", "Luleå", NOW.date()))
    [told] = (await ask(app, "GET", "/api/interventions")).json["interventions"]
    assert (told["too_few"], told["after"], told["effect"]) == (True, None, None)


async def test_a_wrong_question_is_answered_with_a_problem_document(app: Starlette) -> None:
    assert (await ask(app, "GET", "/api/months/2026-13")).status == 404
    assert (await ask(app, "GET", "/api/months/2026-10?cut=person")).status == 400
    assert (await ask(app, "GET", "/api/alerts?value=%00")).status == 400


async def take_care(app: Starlette, member: str, **fields: str) -> Reply:
    form = {"form_secret": f"secret of {member}", "cut": "terminal", "value": "Årsta", "day": "2026-10-20"}
    body = urlencode(form | fields).encode()
    return await ask(app, "POST", "/digests", headers=[("x-member", member)], parts=[body])


async def test_a_digest_is_taken_care_of_once_by_who_may_at_that_terminal(pool: Pool) -> None:
    async def ready() -> str | None:
        return None

    app = make_app(digest_routes.routes(pool, HeaderGate(), lambda: NOW), ready=ready, metrics=Metrics())
    await count(pool, "Årsta", NOW, 9, 1)
    path = "/digests?value=%C3%85rsta&day=2026-10-20&format=text"
    first = await ask(app, "GET", path)
    assert "Satisfied: 90 % (60 % to 98 %)" in first.text
    assert first.text.endswith("Not taken care of yet\n")
    assert (await take_care(app, "nobody")).status == 401
    assert (await take_care(app, "reader-1")).status == 403
    assert (await take_care(app, "lead-2")).status == 403
    assert (await take_care(app, "lead-2", cut=" terminal")).status == 403
    assert (await take_care(app, "lead-2", cut="terminal.method", value="Årsta × home_day")).status == 403
    assert (await take_care(app, "agent-1", form_secret="guessed")).status == 403
    assert (await take_care(app, "agent-1", day="yesterday")).status == 422
    unknown, early = [await take_care(app, "lead-1", **said) for said in ({"value": "Arsta"}, {"day": "2026-10-22"})]
    assert (unknown.status, early.status) == (422, 422)
    assert "did you mean Årsta?" in unknown.json["detail"]
    assert early.json["detail"] == "2026-10-22 has not begun"
    assert await pool.fetchval("SELECT count(*) FROM digest_taken_care") == 0
    assert (await take_care(app, "agent-1", note="rang the driver")).status == 303
    assert (await take_care(app, "lead-1", note="too late")).status == 303
    assert (await ask(app, "GET", path)).text.endswith(
        "Taken care of by Anton Agent, 2026-10-20 15:00 UTC: rang the driver\n"
    )
    assert (await ask(app, "GET", "/digests?cut=driver&value=F-17&day=2026-10-20")).status == 400
    assert (await ask(app, "GET", "/digests?value=A&day=today")).status == 400
    for day in ("0001-01-01", "1969-12-31", "2262-01-01", "9999-12-31"):
        never = await ask(app, "GET", f"/digests?value=%C3%85rsta&day={day}")
        assert (never.status, never.json["detail"]) == (400, "deliveries are of the years 1970 to 2261")
        assert (await take_care(app, "agent-1", day=day)).status == 422
    for day in ("1970-01-01", "2261-12-31"):
        assert (await ask(app, "GET", f"/digests?value=%C3%85rsta&day={day}")).status == 200
    misspelt = await ask(app, "GET", "/digests?value=Arsta&day=2026-10-20")
    assert (misspelt.status, misspelt.json["detail"]) == (
        400,
        "no delivery was counted of terminal 'Arsta'; did you mean Årsta?",
    )


async def test_nobody_takes_care_of_a_digest_that_there_is_not(
    pool: Pool, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KVITTERA_POSTGRES_DSN", settings.postgres_dsn.get_secret_value())
    await count(pool, "Årsta", NOW, 9, 1)

    async def run(terminal: str) -> Result:
        words = ["digest", "--terminal", terminal, "--day", "2026-10-20", "--taken-care-by", "Anna", "--note", "rang"]
        return await asyncio.to_thread(CliRunner().invoke, commands, words)

    assert "did you mean Årsta?" in str((await run("Arsta")).exception)
    assert await pool.fetchval("SELECT count(*) FROM digest_taken_care") == 0
    assert "Taken care of by Anna" in (await run("Årsta")).output
    assert await pool.fetchval("SELECT count(*) FROM digest_taken_care") == 1
