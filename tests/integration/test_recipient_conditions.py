"""Changes with If-Match and Idempotency-Key: kept for the revision they were meant for, and once."""

import asyncio

import pytest

from services.chassis.postgres import Pool
from services.chassis.settings import Settings
from services.survey.recipient.http import SurveyRoutes
from tests.survey_app import invite, lock, post, survey, told
from tests.tables import footprint

pytestmark = pytest.mark.service("survey")


async def test_a_change_is_kept_only_for_the_revision_it_was_meant_for(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    first = await post(app, token, ("score", "4"), as_json=True)
    assert first.headers["etag"] == '"1"'
    kept = await post(app, token, ("score", "5"), as_json=True, headers=[("if-match", '"1"')])
    assert (kept.status, kept.headers["etag"], kept.json) == (200, '"2"', {"revision": 2})
    before = await footprint(pool)
    for stale in ('"1"', '"3"', 'W/"2"', "2", '"x"', ""):
        refused = await post(app, token, ("score", "1"), as_json=True, headers=[("if-match", stale)])
        assert (refused.status, refused.headers["etag"]) == (412, '"2"')
    assert await footprint(pool) == before
    for current in ('"2"', '"9", "2"', "*"):
        assert (await post(app, token, ("score", "5"), as_json=True, headers=[("if-match", current)])).status == 200


async def test_there_is_nothing_to_match_before_the_first_answer_or_behind_a_closed_link(
    app: SurveyRoutes, pool: Pool
) -> None:
    token = await invite(pool)
    for tag in ('"0"', '"1"', "*"):
        assert (await post(app, token, ("score", "1"), as_json=True, headers=[("if-match", tag)])).status == 412
    assert (await post(app, "x" * 22, ("score", "1"), as_json=True, headers=[("if-match", "*")])).status == 404
    await post(app, token, ("score", "4"))
    await lock(pool, token)
    for tag in ('"1"', '"2"'):
        assert (await post(app, token, ("score", "1"), as_json=True, headers=[("if-match", tag)])).status == 423
    assert [e.score for e in await told(pool)] == [4]


async def test_of_changes_to_the_same_revision_at_once_one_is_kept(pool: Pool, settings: Settings) -> None:
    token = await invite(pool)
    servers = [survey(pool, settings) for _ in range(3)]
    await post(servers[0], token, ("score", "3"))
    async with pool.acquire() as holding, holding.transaction():
        await holding.execute("SELECT FROM response FOR UPDATE")
        posting = [
            asyncio.create_task(post(s, token, ("score", n), as_json=True, headers=[("if-match", '"1"')]))
            for s, n in zip(servers, "124", strict=True)
        ]
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        async with asyncio.timeout(90):
            while await pool.fetchval(waiting) < len(posting):  # all read the revision, or wait to read it
                await asyncio.sleep(0.01)
    assert sorted([(await p).status for p in posting]) == [200, 412, 412]
    assert [e.revision for e in await told(pool)] == [1, 2]


async def test_the_same_attempt_again_gets_the_same_result_and_undoes_nothing(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    key = [("idempotency-key", "visit-1")]
    assert (await post(app, token, ("score", "4"), as_json=True, headers=key)).json == {"revision": 1}
    await post(app, token, ("score", "2"), as_json=True, headers=[("idempotency-key", "visit-2")])
    assert (await post(app, token, ("score", "4"), as_json=True, headers=key)).json == {"revision": 1}
    assert [(e.revision, e.score) for e in await told(pool)] == [(1, 4), (2, 2)]


async def test_the_same_key_with_another_answer_is_refused(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    key = [("idempotency-key", "visit-1")]
    await post(app, token, ("score", "4"), as_json=True, headers=key)
    for more in ([], [("if-match", '"1"')]):
        refused = await post(app, token, ("score", "5"), as_json=True, headers=[*key, *more])
        assert (refused.status, refused.headers["content-type"]) == (422, "application/problem+json")
    assert [e.score for e in await told(pool)] == [4]
    other = await invite(pool, delivery={"delivery_id": "D-2"})
    assert (await post(app, other, ("score", "5"), as_json=True, headers=key)).status == 200


async def test_a_repeated_attempt_whose_condition_no_longer_holds_still_gets_its_result(
    app: SurveyRoutes, pool: Pool
) -> None:
    token = await invite(pool)
    await post(app, token, ("score", "4"))
    how = [("idempotency-key", "once"), ("if-match", '"1"')]
    for _ in range(2):
        assert (await post(app, token, ("score", "5"), as_json=True, headers=how)).json == {"revision": 2}


async def test_one_attempt_at_many_servers_at_once_is_one_revision(pool: Pool, settings: Settings) -> None:
    token = await invite(pool)
    servers = [survey(pool, settings) for _ in range(3)]
    key = [("idempotency-key", "visit-1")]
    replies = await asyncio.gather(
        *(post(servers[n % 3], token, ("score", "4"), as_json=True, headers=key) for n in range(12))
    )
    assert [(r.status, r.json) for r in replies] == [(200, {"revision": 1})] * 12


async def test_the_last_eight_attempts_of_an_answer_are_remembered(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    for n in range(9):
        await post(app, token, ("score", str(n % 2 + 1)), as_json=True, headers=[("idempotency-key", f"tap-{n}")])
    stored = await pool.fetchval("SELECT tried FROM response")
    assert [len(t) for t in stored] == [20] * 8
    again = [
        (
            await post(app, token, ("score", str(n % 2 + 1)), as_json=True, headers=[("idempotency-key", f"tap-{n}")])
        ).json
        for n in (8, 1, 0)
    ]
    assert again == [{"revision": 9}, {"revision": 2}, {"revision": 9}]


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "nyckel-å"])
async def test_a_key_that_is_none_is_refused(app: SurveyRoutes, pool: Pool, key: str) -> None:
    token = await invite(pool)
    refused = await post(app, token, ("score", "4"), as_json=True, headers=[("idempotency-key", key)])
    assert refused.status == 422
    assert await told(pool) == []
