"""How often and where a person may be asked: kept for the person, told, and shown again."""

import asyncio
from datetime import timedelta

import pytest

from services.chassis.postgres import Pool
from services.survey.recipient.http import SurveyRoutes
from tests.asgi import ask
from tests.survey_app import invite, lock, post, preferences, told
from tests.tables import footprint

pytestmark = pytest.mark.service("survey")

PERSON = "5e" * 16


async def test_preferences_are_kept_told_and_shown_again(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool, person_id=PERSON)
    await post(app, token, ("score", "4"))
    reply = await post(app, token, ("part", "preferences"), ("frequency", "quarterly"), ("channel", "sms"))
    assert (reply.status, reply.headers["location"]) == (303, f"/r/{token}?done=1&kept=preferences&lang=sv")
    for pairs in (
        (("frequency", "quarterly"),),
        (("channel", "sms"),),
        (("channel", "email"),),
        (("frequency", "never"),),
    ):
        await post(app, token, ("part", "preferences"), *pairs)
    events = await preferences(pool)
    assert [(e.person_id, e.revision, e.never, e.most_per_year, e.only_channel) for e in events] == [
        (PERSON, 1, False, 4, "sms"),
        (PERSON, 2, False, 4, "email"),
        (PERSON, 3, True, None, "email"),
    ]
    assert {e.source for e in events} == {"page"}
    shown = await ask(app, "GET", f"/r/{token}?done=1")
    assert 'id="frequency-never" value="never" required checked' in shown.text
    assert 'id="channel-email" value="email" checked' in shown.text
    await post(app, token, ("part", "preferences"), ("frequency", "every"), ("channel", "any"))
    [*_, last] = await preferences(pool)
    assert (last.revision, last.never, last.most_per_year, last.only_channel) == (4, False, None, None)
    assert [e.revision for e in await told(pool)] == [1]  # the answer itself did not change


async def test_each_change_is_told_as_later_than_the_one_before_whatever_the_clocks_say(
    app: SurveyRoutes, pool: Pool
) -> None:
    token = await invite(pool, person_id=PERSON)
    await post(app, token, ("score", "4"), ("part", "preferences"), ("frequency", "quarterly"))
    faster = await pool.fetchval(
        "UPDATE preference SET changed_at = changed_at + interval '1 minute' RETURNING changed_at"
    )
    await post(app, token, ("part", "preferences"), ("frequency", "never"))
    [*_, last] = await preferences(pool)
    assert (last.never, last.changed_at) == (True, faster + timedelta(microseconds=1))


async def test_the_same_first_preference_said_twice_at_once_is_kept_once_and_both_are_told_so(
    app: SurveyRoutes, pool: Pool
) -> None:
    token = await invite(pool, person_id=PERSON)
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("INSERT INTO preference VALUES ($1, 1, true, NULL, NULL, clock_timestamp())", PERSON)
        second = asyncio.create_task(post(app, token, ("part", "preferences"), ("frequency", "never"), as_json=True))
        await asyncio.sleep(0.3)
        assert not second.done()
    reply = await second
    assert (reply.status, reply.json) == (200, {"revision": 1})
    assert await preferences(pool) == []  # whoever was first has told it


async def test_a_person_has_the_same_preferences_behind_every_link(app: SurveyRoutes, pool: Pool) -> None:
    tokens = [await invite(pool, person_id=PERSON, delivery={"delivery_id": f"D-{n}"}) for n in range(2)]
    for token in tokens:
        await post(app, token, ("score", "4"))
    await post(app, tokens[0], ("part", "preferences"), ("frequency", "yearly"))
    shown = await ask(app, "GET", f"/r/{tokens[1]}?done=1")
    assert 'id="frequency-yearly" value="yearly" required checked' in shown.text


async def test_a_link_that_leads_to_no_person_offers_no_preferences_and_says_so(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    await post(app, token, ("score", "4"))
    assert "frequency" not in (await ask(app, "GET", f"/r/{token}?done=1")).text
    before = await footprint(pool)
    fields = (("part", "preferences"), ("frequency", "never"))
    assert (await post(app, token, *fields, as_json=True)).status == 409
    assert (await post(app, token, *fields)).status == 409
    assert await footprint(pool) == before


@pytest.mark.parametrize("pairs", [(), (("frequency", "daily"),), (("channel", "fax"),), (("frequency", "never"),) * 2])
async def test_preferences_that_no_page_offers_are_refused(
    app: SurveyRoutes, pool: Pool, pairs: tuple[tuple[str, str], ...]
) -> None:
    token = await invite(pool, person_id=PERSON)
    assert (await post(app, token, ("part", "preferences"), *pairs, as_json=True)).status == 422
    assert await preferences(pool) == []


async def test_preferences_that_were_not_kept_are_shown_again_as_chosen(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool, person_id=PERSON)
    await post(app, token, ("score", "4"))
    fields = (("part", "preferences"), ("frequency", "yearly"), ("channel", "fax"), ("lang", "sv"))
    shown = await post(app, token, *fields)
    assert shown.status == 422
    assert "Svaret är inte sparat än." in shown.text
    assert 'value="yearly" required checked' in shown.text
    assert await preferences(pool) == []


async def test_preferences_end_with_the_link(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool, person_id=PERSON)
    await lock(pool, token)
    fields = (("part", "preferences"), ("frequency", "never"))
    assert (await post(app, token, *fields, as_json=True)).status == 423
    assert (await post(app, "x" * 22, *fields, as_json=True)).status == 404
    assert await preferences(pool) == []
