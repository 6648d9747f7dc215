"""Cells over HTTP: right ones as JSON and CSV, wrong questions as problem documents."""

import asyncio
import csv
import io
import uuid
from datetime import datetime, timedelta
from urllib.parse import quote

import pytest
from starlette.applications import Starlette

from services.aggregator import http
from services.aggregator.counting.cuts import load_cuts
from services.aggregator.counting.reading import CountedAnswer, Facts
from services.aggregator.counting.units import Units
from services.aggregator.handlers import CountBatch
from services.aggregator.live.scopes import LiveScopes
from services.chassis.http import make_app
from services.chassis.metrics import Metrics
from services.chassis.postgres import Pool
from services.chassis.staff.gate import ShutGate
from tests.asgi import ask
from tests.builders import NOON

pytestmark = pytest.mark.service("aggregator")


@pytest.fixture
def app(pool: Pool) -> Starlette:
    async def ready() -> str | None:
        return None

    feeds = LiveScopes(pool, None)  # type: ignore[arg-type]  # nobody watches
    return make_app(list(http.routes(pool, feeds, asyncio.Event(), ShutGate())), ready=ready, metrics=Metrics())


async def count(pool: Pool, terminal: str, *scores: int, delivered: datetime = NOON) -> None:
    batch = CountBatch(Units(pool, load_cuts(None)), Metrics(), lambda _, __: None)
    facts = Facts("Nordposten Demo", "SE", "home_day", delivered, "Europe/Stockholm", "D-1", terminal=terminal)
    answers = [CountedAnswer(uuid.uuid4(), 1, NOON, facts, score) for score in scores]
    async with pool.acquire() as connection, connection.transaction():
        await batch(connection, list(answers))


async def test_cells_are_found_by_cut_window_and_value(app: Starlette, pool: Pool) -> None:
    await count(pool, "Årsta", 5, 5, 2)
    await count(pool, "Toftanäs", 1)
    reply = await ask(app, "GET", f"/api/cells?cut=terminal&window=day&value={quote('Årsta')}")
    [cell] = reply.json["cells"]
    assert (cell["cut"], cell["value"], cell["window"], cell["start"]) == ("terminal", "Årsta", "day", "2026-10-13")
    assert (cell["scores"], cell["answers"]) == ([0, 1, 0, 0, 2], 3)
    everything = (await ask(app, "GET", "/api/cells?cut=terminal")).json["cells"]
    assert {c["value"] for c in everything} == {"Toftanäs", "Årsta"}  # in the order of the database's language
    assert (await ask(app, "GET", "/api/cells")).json["cells"][0]["answers"] == 4
    assert (await ask(app, "GET", "/api/cells?cut=terminal&limit=0")).json == {"cells": []}


async def test_cells_come_between_two_moments_both_included(app: Starlette, pool: Pool) -> None:
    for day in range(4):
        await count(pool, "Årsta", 5, delivered=NOON + timedelta(days=day))
    asked = "/api/cells?cut=terminal&window=day&from=2026-10-14&to=2026-10-15T23:59"
    assert [c["start"] for c in (await ask(app, "GET", asked)).json["cells"]] == ["2026-10-14", "2026-10-15"]
    assert len((await ask(app, "GET", "/api/cells?window=month&from=2026-10&to=2026-10")).json["cells"]) == 1
    assert (await ask(app, "GET", "/api/cells?window=month&to=2026-09")).json == {"cells": []}
    weeks = (await ask(app, "GET", "/api/cells?window=week&from=2026-10-18")).json["cells"]
    assert [(c["start"], c["answers"]) for c in weeks] == [("2026-10-12", 4)]


@pytest.mark.parametrize("window", ["minute", "hour", "day", "week", "month", "all"])
async def test_no_moment_however_late_leads_to_the_cells_of_another_value(
    app: Starlette, pool: Pool, window: str
) -> None:
    # Numbers of units follow each other by cut and value, so each but the last has one behind it.
    await count(pool, "Luleå", 4)
    await count(pool, "Årsta", 5)
    for cut in ("method", "terminal", "total"):
        reply = await ask(app, "GET", f"/api/cells?cut={cut}&window={window}&to=9999-12-31T23:59")
        told = [(c["window"], c["value"], c["answers"]) for c in reply.json["cells"]]
        rows = {"method": [("home_day", 2)], "terminal": [("Luleå", 1), ("Årsta", 1)], "total": [("", 2)]}[cut]
        assert sorted(told) == [(window, *row) for row in rows if window != "minute" or cut == "total"], cut
    late = f"/api/cells?cut=total&window={window}&from=9999-12-30&to=9999-12-31"
    assert len((await ask(app, "GET", late)).json["cells"]) == (window == "all")


@pytest.mark.parametrize("form", ["json", "csv"])
async def test_pages_lead_from_one_to_the_next_and_hold_every_cell_once_even_while_others_are_counted(
    app: Starlette, pool: Pool, form: str
) -> None:
    for name in "BDFH":
        for day in range(3):
            await count(pool, f'{name} "1" å', 5, delivered=NOON + timedelta(days=day))
    path, found = f"/api/cells?cut=terminal&window=day&limit=5&format={form}", []
    while path:
        reply = await ask(app, "GET", path)
        rows = reply.json["cells"] if form == "json" else list(csv.DictReader(io.StringIO(reply.body.decode())))
        found += [(row["value"][0], row["start"]) for row in rows]
        link = reply.headers.get("link", "")
        path = link.partition(">")[0].lstrip("<")
        if form == "json":
            assert reply.json.get("next", "") == path
        await count(pool, "A", 1)  # comes before what was read, and moves nothing
    assert found == [(name, f"2026-10-{13 + day}") for name in "BDFH" for day in range(3)]


async def test_a_reader_who_has_the_cells_already_is_told_so_until_one_changes(app: Starlette, pool: Pool) -> None:
    await count(pool, "Årsta", 5)
    path = "/api/cells?cut=terminal"
    tag = (await ask(app, "GET", path)).headers["etag"]
    again = await ask(app, "GET", path, headers=[("if-none-match", f'"other", {tag}')])
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", tag)
    assert (await ask(app, "GET", f"{path}&format=csv", headers=[("if-none-match", tag)])).status == 200
    await count(pool, "Årsta", 5)
    changed = await ask(app, "GET", path, headers=[("if-none-match", tag)])
    assert (changed.status, changed.json["cells"][0]["answers"]) == (200, 2)
    assert changed.headers["etag"] != tag


async def say(pool: Pool, follow_ups: dict[str, int], *responses: int, revision: int = 1, day: int = 0) -> None:
    """Answers of people in Årsta who were asked more than the face."""
    batch = CountBatch(Units(pool, load_cuts(None)), Metrics(), lambda _, __: None)
    at = NOON + timedelta(days=day)
    facts = Facts("Nordposten Demo", "SE", "home_day", at, "Europe/Stockholm", "D-1", terminal="Årsta")
    answers = [
        CountedAnswer(uuid.UUID(int=n), revision, NOON, facts, 4, follow_ups=follow_ups, contested=n == 99)
        for n in responses
    ]
    async with pool.acquire() as connection, connection.transaction():
        await batch(connection, list(answers))


async def test_cells_tell_what_was_asked_beside_the_faces_where_that_is_asked_for(app: Starlette, pool: Pool) -> None:
    await say(pool, {"recommend": 9, "ease": 2}, *range(8), 99)  # 99 contests the delivery
    await say(pool, {"recommend": 0}, 20, 21)
    await say(pool, {"ease": 5}, 30, day=1)
    path = "/api/cells?cut=terminal&questions=true"
    [cell] = (await ask(app, "GET", path)).json["cells"]
    # P 0.8, D 0.2: 60, reach 1.96 * sqrt((1 - 0.36) / 10) = 0.4958; ease: eight times 2 and one 5
    assert cell["questions"]["recommend"] == {
        "answers": 10,
        "values": {"0": 2, "9": 8},
        "figure": {"value": 60.0, "low": pytest.approx(10.4164, abs=1e-3), "high": 100.0},
    }
    assert cell["questions"]["ease"]["figure"]["value"] == pytest.approx(2.33333)
    assert (cell["questions"]["ease"]["figure"]["easy"]["n"], cell["answers"]) == (9, 11)
    days = (await ask(app, "GET", f"{path}&window=day")).json["cells"]
    assert [c["questions"]["ease"]["values"] for c in days] == [{"2": 8}, {"5": 1}]
    assert days[1]["questions"]["ease"]["figure"] is None  # of one answer
    assert "questions" not in (await ask(app, "GET", "/api/cells?cut=terminal")).json["cells"][0]


@pytest.mark.parametrize("window", ["minute", "hour", "day", "week", "month", "all"])
async def test_answers_to_questions_lie_in_the_cell_of_their_delivery(app: Starlette, pool: Pool, window: str) -> None:
    await say(pool, {"ease": 1}, 1)
    await say(pool, {"ease": 5}, 2, day=40)
    cells = (await ask(app, "GET", f"/api/cells?window={window}&questions=true")).json["cells"]
    found = [c["questions"]["ease"]["values"] for c in cells]
    assert found == ([{"1": 1, "5": 1}] if window == "all" else [{"1": 1}, {"5": 1}])


async def test_questions_are_columns_of_the_csv_and_part_of_what_counts_as_changed(app: Starlette, pool: Pool) -> None:
    await say(pool, {"satisfaction": 9, "expectancy": 9, "ideal": 9}, *range(5))
    path = "/api/cells?cut=terminal&questions=true&format=csv"
    reply = await ask(app, "GET", path)
    [row] = csv.DictReader(io.StringIO(reply.body.decode()))
    assert [row[f"index{part}"] for part in ("_answers", "", "_low", "_high")] == [
        "5",
        "88.88889",
        "88.88889",
        "88.88889",
    ]
    assert (row["recommend_answers"], row["recommend"]) == ("0", "")
    nobody = (await ask(app, "GET", f"{path}&value=Kiruna")).text
    assert nobody == reply.text.splitlines(keepends=True)[0]  # the header, with all its columns
    await say(pool, {"satisfaction": 9, "expectancy": 9, "ideal": 10}, 0, revision=2)  # no counter moves
    assert (await ask(app, "GET", path, headers=[("if-none-match", reply.headers["etag"])])).status == 200
    plain = (await ask(app, "GET", "/api/cells")).headers["etag"]
    assert (await ask(app, "GET", "/api/cells", headers=[("if-none-match", plain)])).status == 304


async def test_a_cut_that_is_still_being_built_is_not_shown(app: Starlette, pool: Pool) -> None:
    await count(pool, "Årsta", 5)
    await pool.execute("INSERT INTO counted_cut (cut, windows, state) VALUES ('terminal', 31, 'building')")
    assert (await ask(app, "GET", "/api/cells?cut=terminal")).json == {"cells": []}
    await pool.execute("INSERT INTO counted_cut (cut, windows, state) VALUES ('country', 31, 'counted')")
    assert len((await ask(app, "GET", "/api/cells?cut=country")).json["cells"]) == 1
    for cut in ("terminal", "route"):
        refused = await ask(app, "GET", f"/api/cells?cut={cut}")
        assert (refused.status, refused.headers["content-type"]) == (404, "application/problem+json")
        assert refused.json["detail"] == "answers are counted by country"


@pytest.mark.parametrize("cut", ["driver", "terminal.driver", "terminal,%20driver", "driver.series"])
@pytest.mark.parametrize("more", ["", "&window=hour", "&format=csv", "&value=F-17&limit=1&questions=true"])
async def test_cells_of_single_drivers_are_told_to_nobody(app: Starlette, pool: Pool, cut: str, more: str) -> None:
    batch = CountBatch(Units(pool, load_cuts(None)), Metrics(), lambda _, __: None)
    facts = Facts("Nordposten Demo", "SE", "home_day", NOON, "Europe/Stockholm", "D-1", terminal="Årsta", driver="F-17")
    async with pool.acquire() as connection, connection.transaction():
        await batch(connection, [CountedAnswer(uuid.uuid4(), 1, NOON, facts, 1)])
    refused = await ask(app, "GET", f"/api/cells?cut={cut}{more}")
    assert (refused.status, refused.headers["content-type"]) == (403, "application/problem+json")
    assert refused.json["title"] == "Not told of single people"
    assert "F-17" not in refused.text


@pytest.mark.parametrize(
    ("query", "title"),
    [
        ("colour=red", "Wrong query"),
        ("from=yesterday", "Wrong query"),
        ("window=day&to=2026-10-13T12:00Z", "Wrong query"),
        ("after=x", "Wrong query"),
        ("after=WyJcdTAwMDAiLDFd", "Wrong query"),
        ("after=WyJhIiwtMV0=", "Wrong query"),
        ("after=bnVsbA", "Wrong query"),
        ("cut=person", "Unknown cut"),
        ("cut=", "Unknown cut"),
        ("cut=terminal'%20or%201=1--", "Unknown cut"),
        ("window=year", "Wrong query"),
        ("window=", "Wrong query"),
        ("format=xml", "Wrong query"),
        ("limit=many", "Wrong query"),
        ("limit=-1", "Wrong query"),
        ("value=%00", "Wrong query"),
        ("questions=1", "Wrong query"),
    ],
)
async def test_a_wrong_question_is_answered_with_a_problem_document(app: Starlette, query: str, title: str) -> None:
    reply = await ask(app, "GET", f"/api/cells?{query}")
    assert (reply.status, reply.headers["content-type"]) == (400, "application/problem+json")
    assert (reply.json["title"], reply.json["status"]) == (title, 400)


@pytest.mark.parametrize(
    ("terminal", "written"),
    [
        ("=cmd|'/C calc'!A0", "'=cmd|'/C calc'!A0"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        (" =1", "' =1"),
        ("＝1", "'＝1"),
        ("＠SUM", "'＠SUM"),
        ('"=1", "x"', '\'"=1", "x"'),
        ("Årsta, norra", "Årsta, norra"),
    ],
)
async def test_csv_holds_nothing_that_a_spreadsheet_would_run(
    app: Starlette, pool: Pool, terminal: str, written: str
) -> None:
    await count(pool, terminal, 5)
    reply = await ask(app, "GET", "/api/cells?cut=terminal&format=csv")
    assert reply.headers["content-type"].startswith("text/csv")
    header, row = csv.reader(io.StringIO(reply.body.decode(), newline=""))
    assert (row[header.index("value")], row[header.index("s5")], row[header.index("answers")]) == (written, "1", "1")
    assert reply.body.decode().count("\r\n") == 2
