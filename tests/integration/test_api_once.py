"""The same request of a program has its effect once, and gets the first reply again (security row 4)."""

from datetime import timedelta

import pytest
from starlette.types import ASGIApp

from services.chassis.keys import Key
from services.chassis.postgres import Pool
from services.chassis.settings import Settings
from services.notifier.planned import new_token
from services.survey.api.keys import Scope
from tests.programs import RESPONSES, TAPS, TORGET, Clock, application, is_problem, new_key, send
from tests.survey_app import invite, told

pytestmark = pytest.mark.service("survey")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def app(pool: Pool, settings: Settings, clock: Clock) -> ASGIApp:
    return application(pool, settings, clock)


@pytest.fixture
async def key(pool: Pool) -> Key:
    return await new_key(pool, Scope.WRITE, Scope.READ)


async def test_the_same_key_and_body_get_the_first_reply_again(app: ASGIApp, pool: Pool, key: Key) -> None:
    token = await invite(pool)
    once = [("idempotency-key", "a-1")]
    first = await send(app, "POST", RESPONSES, {"token": token, "score": 2}, key=key, headers=once)
    await send(app, "POST", RESPONSES, {"token": token, "score": 5}, key=key)
    again = await send(app, "POST", RESPONSES, {"token": token, "score": 2}, key=key, headers=once)
    assert (again.status, again.body, again.headers["etag"]) == (201, first.body, '"1"')
    assert [e.score for e in await told(pool)] == [2, 5]
    other_body = await send(app, "POST", RESPONSES, {"token": token, "score": 3}, key=key, headers=once)
    assert is_problem(other_body, 422)
    other_client = await new_key(pool, Scope.WRITE)
    assert (
        await send(app, "POST", RESPONSES, {"token": token, "score": 3}, key=other_client, headers=once)
    ).status == 200


async def test_taps_that_are_sent_again_count_once(app: ASGIApp, pool: Pool, clock: Clock) -> None:
    kiosk = await new_key(pool, Scope.KIOSK, place=TORGET)
    for _ in range(3):
        clock.ahead += timedelta(minutes=1)  # long after the debounce
        reply = await send(app, "POST", TAPS, {"score": 5}, key=kiosk, headers=[("idempotency-key", "tap-1")])
        assert (reply.status, reply.json["revision"]) == (201, 1)
    assert len(await told(pool)) == 1


async def test_a_request_that_failed_may_be_sent_again_with_its_key(app: ASGIApp, pool: Pool, key: Key) -> None:
    said = {"token": new_token(), "score": 4}
    once = [("idempotency-key", "b-1")]
    for _ in range(2):
        assert is_problem(await send(app, "POST", RESPONSES, said, key=key, headers=once), 404)
    assert await pool.fetchval("SELECT count(*) FROM request_once") == 0


async def test_a_second_request_with_the_key_of_a_running_one_waits_its_turn(
    app: ASGIApp, pool: Pool, key: Key, clock: Clock
) -> None:
    said = {"token": await invite(pool), "score": 4}
    once = [("idempotency-key", "c-1")]
    await send(app, "POST", RESPONSES, said, key=key, headers=once)
    await pool.execute("UPDATE request_once SET reply = NULL")  # as if its process had died
    assert is_problem(await send(app, "POST", RESPONSES, said, key=key, headers=once), 409)
    clock.ahead = timedelta(seconds=61)
    assert (await send(app, "POST", RESPONSES, said, key=key, headers=once)).status == 201


async def test_replies_are_remembered_for_a_day(app: ASGIApp, pool: Pool, key: Key, clock: Clock) -> None:
    said = {"token": await invite(pool), "score": 4}
    await send(app, "POST", RESPONSES, said, key=key, headers=[("idempotency-key", "d-1")])
    clock.ahead = timedelta(hours=25)
    await send(app, "POST", RESPONSES, said, key=key, headers=[("idempotency-key", "d-2")])
    assert [r["key"] for r in await pool.fetch("SELECT key FROM request_once")] == ["d-2"]


async def test_a_malformed_idempotency_key_is_refused(app: ASGIApp, key: Key) -> None:
    said = {"token": new_token(), "score": 4}
    for nonsense in ("", "a b", "å", "x" * 256, "a\u0000"):
        reply = await send(app, "POST", RESPONSES, said, key=key, headers=[("idempotency-key", nonsense)])
        assert is_problem(reply, 422), nonsense
