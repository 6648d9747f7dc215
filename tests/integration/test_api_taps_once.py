"""A tap with an Idempotency-Key is one tap for good: whenever its process died, however late it is sent again."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from starlette.types import ASGIApp

from services.chassis.keys import Key
from services.chassis.postgres import Pool
from services.chassis.settings import Settings
from services.survey.api.keys import Scope
from tests.asgi import Reply
from tests.dying_pool import DyingPool
from tests.programs import TAPS, TORGET, Clock, application, is_problem, new_key, send
from tests.survey_app import told

pytestmark = pytest.mark.service("survey")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def app(pool: Pool, settings: Settings, clock: Clock) -> ASGIApp:
    return application(pool, settings, clock)


async def tap(app: ASGIApp, kiosk: Key, once: str, score: int) -> Reply:
    return await send(app, "POST", TAPS, {"score": score}, key=kiosk, headers=[("idempotency-key", once)])


async def test_a_tap_whose_process_died_at_any_statement_counts_once_when_it_is_sent_again(
    app: ASGIApp, pool: Pool, settings: Settings, clock: Clock
) -> None:
    deaths = 0
    while True:
        kiosk = await new_key(pool, Scope.KIOSK, place=TORGET)
        dying: Any = DyingPool(pool, deaths)
        first = await tap(application(dying, settings, clock), kiosk, "tap-1", 4)
        clock.ahead += timedelta(seconds=61)  # long after the debounce
        again = await tap(app, kiosk, "tap-1", 4)
        assert (again.status, again.json["revision"]) == (201, 1)
        client = await pool.fetchval("SELECT client_id FROM api_client WHERE prefix = $1", kiosk.prefix)
        assert await pool.fetchval("SELECT count(*) FROM kiosk_response WHERE client_id = $1", client) == 1
        assert len(await told(pool)) == deaths + 1
        if first.status == 201:
            break
        deaths += 1
    assert again.json == first.json
    assert deaths >= 5


async def test_a_tap_that_is_sent_again_weeks_later_counts_once(app: ASGIApp, pool: Pool, clock: Clock) -> None:
    kiosk = await new_key(pool, Scope.KIOSK, place=TORGET)
    first = await tap(app, kiosk, "tap-1", 4)
    for n in (2, 3):
        clock.ahead += timedelta(days=10)
        assert (await tap(app, kiosk, f"tap-{n}", 1)).status == 201
    again = await tap(app, kiosk, "tap-1", 4)
    assert (again.status, again.json) == (201, first.json)
    assert [e.score for e in await told(pool)] == [4, 1, 1]
    assert is_problem(await tap(app, kiosk, "tap-1", 5), 422)
    assert len(await told(pool)) == 3


async def test_taps_that_were_corrected_since_change_nothing_when_they_come_again(app: ASGIApp, pool: Pool) -> None:
    kiosk = await new_key(pool, Scope.KIOSK, place=TORGET)
    said = [("tap-1", 1), ("tap-2", 1), ("tap-3", 5)]
    first = [await tap(app, kiosk, once, score) for once, score in said]
    again = [await tap(app, kiosk, once, score) for once, score in said]
    assert [r.json["revision"] for r in first] == [1, 1, 2]
    assert [r.json for r in again] == [r.json for r in first]
    assert [e.score for e in await told(pool)] == [1, 5]


async def test_the_same_tap_many_times_at_once_is_one_tap(app: ASGIApp, pool: Pool) -> None:
    kiosk = await new_key(pool, Scope.KIOSK, place=TORGET)
    replies = await asyncio.gather(*(tap(app, kiosk, "tap-1", 3) for _ in range(5)))
    assert {r.status for r in replies} == {201}
    assert len({r.body for r in replies}) == 1
    assert len(await told(pool)) == 1


async def test_the_same_key_at_another_kiosk_is_another_tap(app: ASGIApp, pool: Pool) -> None:
    here, there = [await new_key(pool, Scope.KIOSK, place=TORGET) for _ in range(2)]
    replies = [await tap(app, kiosk, "tap-1", score) for kiosk, score in ((here, 1), (there, 2))]
    assert [r.status for r in replies] == [201, 201]
    assert [e.score for e in await told(pool)] == [1, 2]
