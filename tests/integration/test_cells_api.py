"""Cells over HTTP: right ones as JSON and CSV, wrong questions as problem documents."""

import asyncio
import csv
import io
import uuid
from collections.abc import AsyncIterator
from urllib.parse import quote

import pytest
from starlette.applications import Starlette

from services.aggregator import http
from services.aggregator.cuts import load_cuts
from services.aggregator.handlers import CountBatch
from services.aggregator.live import LiveFeed
from services.aggregator.reading import CountedAnswer, Facts
from services.aggregator.units import Units
from services.chassis.http import make_app
from services.chassis.metrics import Metrics
from services.chassis.postgres import Database, Pool, named_sql
from services.chassis.settings import Settings
from tests.asgi import ask
from tests.builders import NOON
from tests.tables import empty_pool


@pytest.fixture(scope="module")
def settings(shared_settings: Settings) -> Settings:
    return shared_settings


async def prepare(connection: Database) -> None:
    await connection.execute(named_sql("services.aggregator")["make_incoming"])


@pytest.fixture
async def pool(settings: Settings) -> AsyncIterator[Pool]:
    async with empty_pool(settings, "aggregator", prepare=prepare) as empty:
        yield empty


@pytest.fixture
def app(pool: Pool) -> Starlette:
    async def ready() -> str | None:
        return None

    feed = LiveFeed(pool, None)  # type: ignore[arg-type]  # nobody watches
    return make_app(list(http.routes(pool, feed, asyncio.Event())), ready=ready, metrics=Metrics())


async def count(pool: Pool, terminal: str, *scores: int) -> None:
    batch = CountBatch(Units(pool, load_cuts(None)), Metrics(), lambda: None)
    facts = Facts("Nordposten Demo", "SE", "home_day", NOON, "Europe/Stockholm", "D-1", terminal=terminal)
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
    assert [c["value"] for c in everything] == ["Toftanäs", "Årsta"]
    assert (await ask(app, "GET", "/api/cells")).json["cells"][0]["answers"] == 4
    assert (await ask(app, "GET", "/api/cells?cut=terminal&limit=0")).json == {"cells": []}


@pytest.mark.parametrize(
    ("query", "title"),
    [
        ("cut=person", "Unknown cut"),
        ("cut=", "Unknown cut"),
        ("cut=terminal'%20or%201=1--", "Unknown cut"),
        ("window=year", "Wrong query"),
        ("window=", "Wrong query"),
        ("format=xml", "Wrong query"),
        ("limit=many", "Wrong query"),
        ("limit=-1", "Wrong query"),
        ("value=%00", "Wrong query"),
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
        ('"=1", "x"', '"=1", "x"'),
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
