"""Alarms, interventions and closed months against a real PostgreSQL: told once, compared rightly, never changed."""

import asyncio
import json
import uuid
from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlencode

import asyncpg
import pytest
from starlette.applications import Starlette
from typer.testing import CliRunner

from schemas.satisfaction import SatisfactionAlert
from schemas.topics import DELIVERY_DISRUPTION, RESPONSE_RECORDED
from services.aggregator.counting.cuts import load_cuts
from services.aggregator.counting.reading import CountedAnswer, CountedDecision, Facts
from services.aggregator.counting.units import Units
from services.aggregator.counting.zone_data import note_zone_data, noted_zone_data
from services.aggregator.digests import routes as digest_routes
from services.aggregator.figures import routes as figure_routes
from services.aggregator.figures.alerts import Alerts
from services.aggregator.figures.interventions import Intervention, Ledger
from services.aggregator.figures.months import Months, month_number
from services.aggregator.handlers import CountBatch
from services.aggregator.quality.documents import as_csv, document
from services.aggregator.quality.figures import quality_of
from services.aggregator.quality.months import ClosedMonths
from services.chassis.failures import MustStop
from services.chassis.http import make_app
from services.chassis.metrics import Metrics
from services.chassis.postgres import Pool
from services.chassis.settings import Settings
from services.cli import app as commands
from services.cli import figures as figures_commands
from tests.asgi import Reply, ask
from tests.harness import begin, until
from tests.members import HeaderGate

pytestmark = pytest.mark.service("aggregator")

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


async def usual_months(pool: Pool) -> None:
    for terminal in ("Luleå", "Årsta"):
        await count(pool, terminal, NOW - timedelta(days=45), 95, 5)


async def look(pool: Pool, now: datetime = NOW) -> list[SatisfactionAlert]:
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
    await pool.execute("TRUNCATE alert")
    [again] = await look(pool, NOW + timedelta(days=3))
    assert again.alert_id == first.alert_id
    assert again.model_copy(update={"raised_at": first.raised_at}) == first


async def test_late_answers_do_not_tell_of_the_same_stretch_a_second_time(pool: Pool) -> None:
    await usual_months(pool)
    await count(pool, "Luleå", NOW, 10, 12)
    assert len(await look(pool)) == 1
    # The day before is now an alarm of its own; the 20th has been told of.
    await count(pool, "Luleå", NOW - timedelta(days=1), 0, 12)
    await count(pool, "Luleå", NOW, 0, 3)
    told = await look(pool)
    assert [t.start for t in told] == ["2026-10-19"]
    assert await look(pool) == []


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
    async with pool.acquire() as connection:
        public = await ClosedMonths().until(connection, OCTOBER)
    shown = document(quality_of(OCTOBER - 1, public), None)
    assert (shown["month"], shown["zone_data"]) == ("2026-09", ["2025b", "2026a", "2026b"])
    monkeypatch.setattr(figures_commands, "asked", lambda *_: [september, october])
    done = CliRunner().invoke(commands, ["months", "list"])
    assert (
        "revision 1  2026-11-02  closed\n    revision 2  2026-11-03  late answers  (time-zone data 2026a, 2026b)\n"
        in (done.stdout)
    )


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
        then = quality_of(OCTOBER - 12, await ClosedMonths().until(connection, OCTOBER - 12))
        now = quality_of(OCTOBER, await ClosedMonths().until(connection, OCTOBER))
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


async def test_of_two_that_close_a_month_at_once_the_second_hears_that_it_is_closed(pool: Pool) -> None:
    later = datetime(2026, 11, 2, tzinfo=UTC)
    await count(pool, "Luleå", NOW, 7, 1)
    async with pool.acquire() as first, pool.acquire() as second:
        async with first.transaction(isolation="repeatable_read"):
            await Months(0).close(first, OCTOBER, later)
            closing = asyncio.create_task(Months(0).close(second, OCTOBER, later))
            await asyncio.sleep(0.2)
            assert not closing.done()
        with pytest.raises(MustStop, match="2026-10 is closed: revise it"):
            await closing


async def test_a_revision_is_of_one_moment_and_tells_how_far_the_topics_were_counted_then(pool: Pool) -> None:
    case = "INSERT INTO complaint VALUES ($1, 1, $2, NULL, NULL, false, 'Luleå', true)"
    counted = await begin(pool, RESPONSE_RECORDED, partition=3, at=5)
    await begin(pool, DELIVERY_DISRUPTION, at=7)  # says nothing of a month
    await pool.execute("INSERT INTO counted_cut (cut, windows, state) VALUES ('total', 31, 'counted')")
    await ease(pool, 4)
    await pool.execute(case, "a", OCTOBER)
    async with pool.acquire() as closer, pool.acquire() as other:
        async with other.transaction():
            await other.execute("LOCK TABLE closed_complaint IN ACCESS EXCLUSIVE MODE")
            closing = asyncio.create_task(Months(0).close(closer, OCTOBER, datetime(2026, 11, 2, tzinfo=UTC)))

            async def waits_between_cells_and_complaints() -> bool:
                waiting = "SELECT count(*) FROM pg_locks WHERE relation = 'closed_complaint'::regclass AND NOT granted"
                return bool(await pool.fetchval(waiting))

            await until(waits_between_cells_and_complaints)
            await ease(pool, 4)
            await pool.execute(case, "b", OCTOBER)
            await pool.execute("UPDATE progress SET next = next + 4")
        await closing
    [cell] = await pool.fetch("SELECT s5 FROM closed_cell WHERE cut = 'total'")
    [ease_of_total] = await pool.fetch("SELECT answers FROM closed_question WHERE cut = 'total'")
    [complaints] = await pool.fetch("SELECT complaints FROM closed_complaint")
    [position] = await pool.fetch("SELECT topic, part, next FROM closed_position")
    assert (cell["s5"], ease_of_total["answers"], complaints["complaints"]) == (1, 1, 1)
    assert tuple(position) == (RESPONSE_RECORDED, counted.partition, 5)
    assert await pool.fetchval("SELECT next FROM progress WHERE topic = $1", RESPONSE_RECORDED) == 9


async def test_a_cut_that_is_still_being_built_is_not_closed_and_has_not_moved(pool: Pool) -> None:
    state = "INSERT INTO counted_cut (cut, windows, state) VALUES ($1, 31, $2)"
    for cut, of_it in (("total", "counted"), ("terminal", "building"), ("method", "built"), ("country", "leaving")):
        await pool.execute(state, cut, of_it)
    await ease(pool, 4)
    async with pool.acquire() as connection:
        await Months(0).close(connection, OCTOBER, datetime(2026, 11, 2, tzinfo=UTC))
        assert [m["moved"] for m in await Months(0).listed(connection)] == [0]
    shown = {"total", "country"}
    for table in ("cell", "question", "cut"):
        cuts = {r["cut"] for r in await pool.fetch(f"SELECT cut FROM closed_{table}")}
        assert (table, cuts & {"total", "terminal", "method", "country"}) == (table, shown)


async def ease(pool: Pool, value: int) -> None:
    """Count one answer to a further question."""
    batch = CountBatch(Units(pool, load_cuts(None)), Metrics(), lambda _, __: None)
    facts = Facts("Nordposten Demo", "SE", "home_day", NOW, "Europe/Stockholm", "D-1", terminal="Luleå")
    async with pool.acquire() as connection, connection.transaction():
        await batch(connection, [CountedAnswer(uuid.uuid4(), 1, NOW, facts, 5, follow_ups={"ease": value})])


@pytest.mark.parametrize("counter", ["s4", "delivered", "contested", "reached", "opened"])
async def test_a_closed_month_tells_that_a_counter_moved_since(pool: Pool, counter: str) -> None:
    await count(pool, "Luleå", NOW, 7, 1)
    async with pool.acquire() as connection:
        await Months(0).close(connection, OCTOBER, datetime(2026, 11, 2, tzinfo=UTC))
        assert [m["moved"] for m in await Months(0).listed(connection)] == [0]
        await connection.execute(f"UPDATE cell SET {counter} = {counter} + 1")
        cells = await connection.fetchval("SELECT count(*) FROM closed_cell")
        assert cells > 0
        assert [m["moved"] for m in await Months(0).listed(connection)] == [cells]


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
        [month] = (await ClosedMonths().until(connection, OCTOBER)).values()
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
    assert await pool.fetchval("SELECT count(*) FROM digest_taken_care") == 0
    assert (await take_care(app, "agent-1", note="rang the driver")).status == 303
    assert (await take_care(app, "lead-1", note="too late")).status == 303
    assert (await ask(app, "GET", path)).text.endswith(
        "Taken care of by Anton Agent, 2026-10-20 15:00 UTC: rang the driver\n"
    )
    assert (await ask(app, "GET", "/digests?cut=driver&value=F-17&day=2026-10-20")).status == 400
    assert (await ask(app, "GET", "/digests?value=A&day=today")).status == 400
    misspelt = await ask(app, "GET", "/digests?value=Arsta&day=2026-10-20")
    assert (misspelt.status, misspelt.json["detail"]) == (
        400,
        "no delivery was counted of terminal 'Arsta'; did you mean Årsta?",
    )
