"""The fast lane: looks and taps that never reach the application, with the same pages and the same care."""

import asyncio
from collections.abc import Sequence
from urllib.parse import urlencode

import pytest

from services.chassis.http_protocol import Lane, Whole
from services.chassis.postgres import Pool
from services.chassis.settings import Settings
from services.notifier.planned import new_token
from services.survey.answers.responses import token_hash
from services.survey.recipient.http import SurveyRoutes
from tests.asgi import ask
from tests.survey_app import FORM, invite, lock, post, stored, survey, told
from tests.tables import footprint

pytestmark = pytest.mark.service("survey")


async def by_lane(app: SurveyRoutes, url: str, *headers: tuple[str, str], lets_look: bool = True) -> bytes | None:
    """What the server's fast lane answers to a GET; None: the application must."""
    told: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
    fields = [(name.encode(), value.encode()) for name, value in headers]
    lane = lane_of(app, b"GET", lets_look=lets_look)
    return await told if lane.take(Whole(url.encode(), fields, b""), told.set_result) else None


def lane_of(app: SurveyRoutes, method: bytes, *, lets_look: bool = True) -> Lane:
    return next(lane for lane in app.lanes(lambda _: lets_look) if lane.method == method)


@pytest.mark.parametrize("answered", [(), (("score", "2"),), (("score", "5"), ("part", "details"), ("comment", "hej"))])
@pytest.mark.parametrize("query", ["", "?s=4", "?s=6", "?s=9"])
async def test_the_fast_lane_shows_what_the_application_shows_and_writes_as_little(
    app: SurveyRoutes, pool: Pool, answered: Sequence[tuple[str, str]], query: str
) -> None:
    token = await invite(pool, language="nb")
    if answered:
        await post(app, token, *answered)
    before = await footprint(pool)
    quick = await by_lane(app, f"/r/{token}{query}", ("accept-language", "fi"))
    assert quick is not None
    head, _, body = quick.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    same = await ask(app, "GET", f"/r/{token}{query}", headers=[("accept-language", "fi")])
    assert (status, sorted(line.split(": ", 1) for line in lines), body) == (
        "HTTP/1.1 200 OK",
        sorted([name, value] for name, value in same.headers.items()),
        same.body,
    )
    assert await footprint(pool) == before


async def test_the_fast_lane_shows_an_answer_as_soon_as_it_is_kept(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    for score in ("2", "5", "1"):
        await post(app, token, ("score", score))
        page = await by_lane(app, f"/r/{token}")
        assert page is not None
        same = await ask(app, "GET", f"/r/{token}")
        assert page.endswith(same.body)
        assert (await stored(pool))[1] == int(score)


async def test_a_look_in_the_fast_lane_is_remembered_against_machines(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    await by_lane(app, f"/r/{token}?s=6")
    assert app.looks.suspicion(token_hash(token), by_script=False, honeypot="") == "hidden_link"


@pytest.mark.parametrize(
    "query", ["?lang=sv", "?done=1", "?s=4&done=1", "?s=", "?s=44", "?s=%34", "/", "/unsubscribe", "?"]
)
async def test_any_other_look_is_the_application_s(app: SurveyRoutes, pool: Pool, query: str) -> None:
    token = await invite(pool)
    assert await by_lane(app, f"/r/{token}{query}") is None


async def test_pages_that_need_more_than_the_link_are_the_application_s(app: SurveyRoutes, pool: Pool) -> None:
    contested, locked, polish = [await invite(pool, language=code) for code in ("sv", "sv", "pl")]
    await post(app, contested, ("contested", "1"))
    await lock(pool, locked)
    for token in (contested, locked, polish, new_token(), "AAAA"):
        assert await by_lane(app, f"/r/{token}") is None


async def test_a_language_that_only_begins_as_one_of_ours_is_the_application_s(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool, language=None)
    assert await by_lane(app, f"/r/{token}", ("accept-language", "fi")) is not None
    assert await by_lane(app, f"/r/{token}", ("accept-language", "fil-PH,fi;q=0.5")) is None


async def test_who_guessed_too_often_is_the_application_s_to_refuse(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    assert await by_lane(app, f"/r/{token}", lets_look=False) is None


async def test_a_page_that_cannot_be_read_is_the_application_s_to_excuse(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    await pool.execute("ALTER TABLE invitation RENAME TO away")
    assert await by_lane(app, f"/r/{token}") is None
    await pool.execute("ALTER TABLE away RENAME TO invitation")


async def tap(app: SurveyRoutes, token: str, *, score: int = 4, key: str = "visit-1") -> "asyncio.Future[bytes | None]":
    """Tap a face as the page's script does, through the fast lane; resolves to the lane's reply."""
    body = urlencode({"nonce": app._views.nonce(token), "lang": "sv", "score": str(score)}).encode()
    headers = [(b"accept", b"application/json"), (b"content-type", FORM.encode()), (b"content-length", b"9")]
    reply: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
    request = Whole(f"/r/{token}".encode(), [*headers, (b"idempotency-key", key.encode())], body)
    if not lane_of(app, b"POST").take(request, reply.set_result):
        reply.cancel()
    return reply


async def test_the_fast_lane_stores_tells_and_replies_as_the_application_does(app: SurveyRoutes, pool: Pool) -> None:
    quick, usual = await invite(pool), await invite(pool)
    heard = await (await tap(app, quick))
    said = await post(app, usual, ("score", "4"), as_json=True)
    assert heard is not None
    head, _, body = heard.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    assert (status, body) == (f"HTTP/1.1 {said.status} OK", said.body)
    assert dict(line.split(": ") for line in lines) == said.headers
    own = {"response_id", "invitation_id", "answered_at", "recorded_at", "changed_at", "tried"}
    first, second = [dict(r) for r in await pool.fetch("SELECT * FROM response ORDER BY answered_at")]
    assert {k: v for k, v in first.items() if k not in own} == {k: v for k, v in second.items() if k not in own}
    events = [m.model_dump(exclude=own) for m in await told(pool)]
    assert events[0] == events[1]


async def test_the_fast_lane_replies_after_the_commit_only(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    async with pool.acquire() as connection:
        async with connection.transaction():
            await connection.execute("LOCK TABLE response IN EXCLUSIVE MODE")
            reply = await tap(app, token)
            await asyncio.sleep(0.2)
            assert not reply.done()
        assert await reply is not None
    assert (await stored(pool))[:2] == (1, 4)


async def test_a_tap_tried_again_by_either_way_is_kept_once(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    replies = [await (await tap(app, token)) for _ in range(3)]
    assert replies[0] == replies[1] == replies[2]
    assert await pool.fetchval("SELECT count(*) FROM outbox") == 1


async def test_the_fast_lane_leaves_refusals_to_the_application(
    app: SurveyRoutes, pool: Pool, settings: Settings
) -> None:
    locked = await invite(pool)
    await lock(pool, locked)
    assert await (await tap(app, locked)) is None
    assert await (await tap(app, new_token())) is None
    crowded = survey(pool, settings, queue=0)
    assert (await tap(crowded, await invite(pool))).cancelled()
    assert await pool.fetchval("SELECT count(*) FROM response") == 0
