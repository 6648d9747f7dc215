"""An answer of a program or by text message is kept once, whenever its process died and however late it comes again."""

import hashlib
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from starlette.types import ASGIApp

from services.chassis.keys import Key
from services.chassis.postgres import Pool
from services.chassis.settings import Settings
from services.survey.api.keys import Scope
from tests.asgi import Reply
from tests.builders import NOON
from tests.dying_pool import DyingPool
from tests.integration.test_inbound import NEW, PERSON, asked, hand_over, message
from tests.programs import RESPONSES, Clock, application, is_problem, new_key, send
from tests.survey_app import invite, told

pytestmark = pytest.mark.service("survey")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def taking(settings: Settings) -> Settings:
    return settings.model_copy(update={"inbound_secrets": SecretStr(NEW)})


@pytest.fixture
def app(pool: Pool, taking: Settings, clock: Clock) -> ASGIApp:
    return application(pool, taking, clock)


async def answer(app: ASGIApp, key: Key, token: str, score: int, once: str | None = "a-1") -> Reply:
    headers = [] if once is None else [("idempotency-key", once)]
    return await send(app, "POST", RESPONSES, {"token": token, "score": score}, key=key, headers=headers)


async def test_an_answer_whose_process_died_at_any_statement_undoes_nothing_when_it_is_sent_again(
    app: ASGIApp, pool: Pool, taking: Settings, clock: Clock
) -> None:
    key, deaths, kept = await new_key(pool, Scope.WRITE), 0, 0
    while True:
        token, before = await invite(pool), len(await told(pool))
        dying: Any = DyingPool(pool, deaths)
        first = await answer(application(dying, taking, clock), key, token, 2, f"a-{deaths}")
        kept_at_once = len(await told(pool)) > before
        await answer(app, key, token, 5, None)  # the person changes their mind meanwhile
        clock.ahead += timedelta(seconds=61)
        assert (await answer(app, key, token, 2, f"a-{deaths}")).status in {200, 201}
        assert [e.score for e in (await told(pool))[before:]] == ([2, 5] if kept_at_once else [5, 2])
        if first.status == 201:
            break
        deaths += 1
        kept += kept_at_once
    assert deaths >= 5
    assert kept >= 1  # some died with the answer on disk


async def test_an_answer_that_is_sent_again_when_its_reply_is_forgotten_undoes_nothing(
    app: ASGIApp, pool: Pool, clock: Clock
) -> None:
    key, token = await new_key(pool, Scope.WRITE), await invite(pool)
    await answer(app, key, token, 2)
    await answer(app, key, token, 5, "a-2")
    clock.ahead = timedelta(days=2)
    again = await answer(app, key, token, 2)
    assert (again.status, again.json["score"], again.json["revision"]) == (201, 5, 2)
    clock.ahead = timedelta(days=4)
    assert is_problem(await answer(app, key, token, 3), 422)
    assert [e.score for e in await told(pool)] == [2, 5]
    another = await new_key(pool, Scope.WRITE)
    assert (await answer(app, another, token, 3)).status == 200  # keys are each program's own


@pytest.mark.parametrize("ahead", [timedelta(seconds=61), timedelta(days=2)])
async def test_a_text_message_that_was_an_answer_is_none_about_what_was_asked_since(
    app: ASGIApp, pool: Pool, clock: Clock, ahead: timedelta
) -> None:
    await asked(pool, "D-before", timedelta(days=3), decided_at=NOON - timedelta(days=9))
    await hand_over(app, "2 för sent")
    await asked(pool, "D-since", timedelta(days=9))
    await pool.execute("UPDATE request_once SET reply = NULL")  # as if its process had died
    clock.ahead = ahead
    assert (await hand_over(app, "2 för sent")).status == 202
    assert (await hand_over(app, "5", "msg_2")).status == 202
    clock.ahead += timedelta(days=2)
    assert (await hand_over(app, "1")).status == 422  # the same id for another message
    assert [(e.delivery.delivery_id, e.score) for e in await told(pool)] == [("D-before", 2), ("D-since", 5)]


async def test_a_text_message_is_no_second_answer_once_its_link_is_locked(
    app: ASGIApp, pool: Pool, clock: Clock
) -> None:
    await asked(pool, "D-before", timedelta(days=3), decided_at=NOON - timedelta(days=9))
    await hand_over(app, "2")
    await pool.execute("UPDATE invitation SET expires_at = clock_timestamp() - interval '1 s'")
    await asked(pool, "D-since", timedelta(days=9))
    clock.ahead = timedelta(days=2)
    assert (await hand_over(app, "2")).status == 202
    assert [(e.delivery.delivery_id, e.score) for e in await told(pool)] == [("D-before", 2)]


async def test_what_is_remembered_of_a_text_message_cannot_be_found_by_trying_numbers(app: ASGIApp, pool: Pool) -> None:
    await invite(pool, person_id=PERSON)
    await hand_over(app, "4")
    [remembered] = await pool.fetchval("SELECT tried FROM response")
    once = hashlib.sha256(message("4")).digest()
    assert not {remembered[8:16]} & {once[:8], hashlib.sha256(once).digest()[:8]}
