"""A recipient answers: kept with its event before the reply, in one order, and never in clear (guarantee 1)."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from services.chassis.metrics import Metrics
from services.chassis.outbox import Relay
from services.chassis.postgres import Pool
from services.chassis.settings import Settings
from services.survey.answers.handlers import Answers
from services.survey.answers.responses import Answer, token_hash
from services.survey.recipient.http import SurveyRoutes
from services.survey.recipient.page_models import CaseNotice
from tests.asgi import ask
from tests.page_reader import Page
from tests.survey_app import SEAL, invite, post, stored, survey, told
from tests.tables import everything_stored

pytestmark = pytest.mark.service("survey")


async def test_the_answer_and_its_event_are_stored_before_the_reply_begins(
    app: SurveyRoutes, pool: Pool, settings: Settings
) -> None:
    token = await invite(pool)
    seen: list[tuple[int, int]] = []

    async def look_from_outside() -> None:
        outside = await asyncpg.connect(settings.postgres_dsn.get_secret_value())
        row = await outside.fetchrow("SELECT (SELECT score FROM survey.response), (SELECT count(*) FROM survey.outbox)")
        await outside.close()
        assert row is not None
        seen.append(tuple(row.values()))

    reply = await post(app, token, ("score", "4"), as_json=True, at_start=look_from_outside)
    assert (reply.status, reply.json) == (200, {"revision": 1})
    assert seen == [(4, 1)]


async def test_no_reply_comes_while_the_commit_waits(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    async with pool.acquire() as connection:
        async with connection.transaction():
            await connection.execute("LOCK TABLE outbox IN EXCLUSIVE MODE")
            posting = asyncio.create_task(post(app, token, ("score", "4")))
            await asyncio.sleep(0.2)
            assert not posting.done()
        assert (await posting).status == 303


async def test_the_event_says_what_was_stored(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool, delivery={"driver": "F-77", "late": True})
    await post(app, token, ("part", "details"), ("reasons", "on_time"), ("comment", "Hej"), ("score", "2"))
    [event] = await told(pool)
    assert (event.revision, event.score, event.reasons, event.commented, event.contested) == (
        1,
        2,
        ("on_time",),
        True,
        False,
    )
    assert (event.channel, event.language, event.survey, event.scale) == ("web", "sv", "home.v1", "smiley5.v1")
    assert (event.delivery.delivery_id, event.delivery.driver, event.delivery.late) == ("D-1", "F-77", True)
    assert event.response_id == event.invitation_id
    assert timedelta(0) <= event.recorded_at - event.answered_at < timedelta(minutes=1)


async def test_a_process_whose_clock_is_late_takes_no_answer_back_in_time(pool: Pool, settings: Settings) -> None:
    token, moment = await invite(pool), datetime.now(UTC)
    clock, metrics = iter((moment, moment - timedelta(minutes=5))), Metrics()
    answers = Answers(pool, SEAL, Relay(settings, "survey", metrics), metrics, lambda: next(clock), 64)
    for score in (4, 2):
        await answers.record(token, Answer(score=score))
    assert [(event.score, event.answered_at) for event in await told(pool)] == [(4, moment), (2, moment)]


async def test_a_browser_is_sent_on_so_that_reloading_posts_nothing(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    reply = await post(app, token, ("score", "4"))
    assert (reply.status, reply.headers["location"]) == (303, f"/r/{token}?lang=sv")
    reply = await post(app, token, ("part", "details"), ("reasons", "other"))
    assert (reply.status, reply.headers["location"]) == (303, f"/r/{token}?done=1&lang=sv")
    assert "Klart. Tack för svaret." in (await ask(app, "GET", f"/r/{token}?done=1&lang=sv")).text


async def test_the_page_tells_of_the_case_where_it_says_what_happens_next(app: SurveyRoutes, pool: Pool) -> None:
    asked: list[tuple[uuid.UUID, str]] = []

    async def case_of(response_id: uuid.UUID, carrier: str) -> CaseNotice:
        asked.append((response_id, carrier))
        return CaseNotice(
            "K-7F3Q-2", f"{carrier}, Årsta", datetime(2026, 10, 14, 12, tzinfo=UTC), contact_promised=True
        )

    app.case_of = case_of
    scored, contested = await invite(pool), await invite(pool)
    await post(app, scored, ("score", "1"))
    await post(app, contested, ("contested", "1"))
    for token, query in ((scored, ""), (scored, "?done=1&edit=1")):
        assert "K-7F3Q-2" not in (await ask(app, "GET", f"/r/{token}{query}")).text
    assert asked == []
    for token, query in ((scored, "?done=1"), (contested, "")):
        assert "K-7F3Q-2" in (await ask(app, "GET", f"/r/{token}{query}")).text
    ids = await pool.fetch("SELECT response_id FROM response")
    assert sorted(asked) == sorted((r["response_id"], "Nordposten Demo") for r in ids)


async def test_the_answer_can_be_edited_from_the_last_page(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    await post(app, token, ("score", "4"))
    for query in ("?edit=1", "?edit=1&done=1", "?done=1&edit=1", ""):
        assert "Tack. Ditt svar är sparat." in (await ask(app, "GET", f"/r/{token}{query}")).text


async def test_a_late_comment_keeps_the_smiley_and_a_new_smiley_keeps_the_comment(
    app: SurveyRoutes, pool: Pool
) -> None:
    token = await invite(pool)
    await post(app, token, ("score", "4"))
    await post(app, token, ("comment", "Snabbt!"))
    assert await stored(pool) == (2, 4, None, True, False)
    await post(app, token, ("score", "5"))
    assert await stored(pool) == (3, 5, None, True, False)
    assert [(e.revision, e.score, e.commented) for e in await told(pool)] == [
        (1, 4, False),
        (2, 4, True),
        (3, 5, True),
    ]


async def test_two_tabs_lose_nothing_of_each_other(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    await post(app, token, ("score", "2"))
    await asyncio.gather(
        post(app, token, ("part", "details"), ("reasons", "condition")),
        post(app, token, ("comment", "Kartongen var blöt")),
        post(app, token, ("score", "1")),
    )
    assert await stored(pool) == (4, 1, ["condition"], True, False)


async def test_contesting_keeps_the_score_but_says_that_it_never_came(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    await post(app, token, ("score", "5"))
    await post(app, token, ("contested", "1"))
    await post(app, token, ("contested", "1"))
    assert await stored(pool) == (2, 5, None, False, True)
    assert "fick" in (await ask(app, "GET", f"/r/{token}?lang=sv")).text


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        ("1", "2", ["on_time"]),
        ("5", "4", ["on_time"]),
        ("2", "3", None),
        ("3", "4", None),
        ("1", "5", None),
        ("5", "1", None),
    ],
)
async def test_reasons_go_when_the_score_moves_between_low_middle_and_high(
    app: SurveyRoutes, pool: Pool, first: str, second: str, kept: list[str] | None
) -> None:
    token = await invite(pool)
    await post(app, token, ("score", first), ("reasons", "on_time"))
    await post(app, token, ("score", second))
    assert (await stored(pool))[2] == kept
    assert (await told(pool))[-1].reasons == tuple(kept or ())


async def test_reasons_that_come_with_the_new_score_are_kept(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    await post(app, token, ("reasons", "on_time"))
    await post(app, token, ("score", "1"))
    assert await stored(pool) == (2, 1, ["on_time"], False, False)  # ticked before any score: nothing moved
    await post(app, token, ("score", "5"), ("reasons", "courtesy"))
    assert await stored(pool) == (3, 5, ["courtesy"], False, False)


async def test_what_is_written_on_a_page_without_reasons_unticks_none(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    await post(app, token, ("score", "2"), ("part", "details"), ("reasons", "on_time"))
    await post(app, token, ("contested", "1"))
    [part] = Page((await ask(app, "GET", f"/r/{token}")).body).all("input", name="part")
    for written in ("", "Kom aldrig", ""):
        reply = await post(app, token, ("part", str(part["value"])), ("comment", written))
        assert (reply.status, reply.headers["location"]) == (303, f"/r/{token}?done=1&lang=sv")
    assert await stored(pool) == (3, 2, ["on_time"], True, True)
    assert [e.reasons for e in await told(pool)] == [("on_time",)] * 3


async def test_a_repeated_equal_answer_makes_no_new_revision(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    replies = [await post(app, token, ("score", "4"), as_json=True) for _ in range(3)]
    assert [r.json for r in replies] == [{"revision": 1}] * 3
    for _ in range(3):
        await post(app, token, ("part", "details"), ("comment", ""))  # "Skicka" with nothing ticked
    assert await stored(pool) == (1, 4, [], False, False)
    for _ in range(3):
        await post(app, token, ("part", "details"), ("reasons", "other"), ("score", "4"))
    assert await stored(pool) == (2, 4, ["other"], False, False)
    assert [e.revision for e in await told(pool)] == [1, 2]


async def test_a_hundred_posts_at_once_on_one_link_make_one_row_and_revisions_without_gaps(
    app: SurveyRoutes, pool: Pool
) -> None:
    token = await invite(pool)
    replies = await asyncio.gather(*(post(app, token, ("score", str(n % 5 + 1)), as_json=True) for n in range(100)))
    assert [r.json["revision"] for r in replies] == list(range(1, 101))
    events = await told(pool)
    assert [e.revision for e in events] == list(range(1, 101))
    assert [e.score for e in events] == [n % 5 + 1 for n in range(100)]
    assert await stored(pool) == (100, 5, None, False, False)


async def test_two_servers_with_the_same_link_keep_the_order_of_revisions(pool: Pool, settings: Settings) -> None:
    token = await invite(pool)
    servers = [survey(pool, settings) for _ in range(3)]
    replies = await asyncio.gather(
        *(post(servers[n % 3], token, ("score", str(n % 5 + 1)), as_json=True) for n in range(90))
    )
    assert {r.status for r in replies} == {200}
    revisions = [e.revision for e in await told(pool)]
    assert revisions == list(range(1, len(revisions) + 1))
    assert max(r.json["revision"] for r in replies) == revisions[-1]


async def test_the_same_first_answer_at_two_servers_at_once_is_saved_for_both(pool: Pool, settings: Settings) -> None:
    token = await invite(pool)
    one, other = survey(pool, settings), survey(pool, settings)
    async with pool.acquire() as connection:
        async with connection.transaction():
            await connection.execute("LOCK TABLE outbox IN EXCLUSIVE MODE")
            posting = [asyncio.create_task(post(s, token, ("score", "4"), as_json=True)) for s in (one, other)]
            await asyncio.sleep(0.2)
        replies = [await p for p in posting]
    assert [(r.status, r.json) for r in replies] == [(200, {"revision": 1})] * 2
    assert [e.revision for e in await told(pool)] == [1]


async def test_many_people_at_once_share_commits_and_each_gets_a_row(app: SurveyRoutes, pool: Pool) -> None:
    tokens = [await invite(pool, delivery={"delivery_id": f"D-{n}"}) for n in range(60)]
    before = await pool.fetchval("SELECT pg_current_xact_id()::text::bigint")
    replies = await asyncio.gather(*(post(app, t, ("score", "5"), as_json=True) for t in tokens))
    used = await pool.fetchval("SELECT pg_current_xact_id()::text::bigint") - before
    assert [r.json for r in replies] == [{"revision": 1}] * 60
    assert await pool.fetchval("SELECT count(*) FROM response WHERE score = 5") == 60
    assert len(await told(pool)) == 60
    assert used < 20


async def test_what_a_person_wrote_and_the_link_stand_nowhere_in_clear(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    await post(app, token, ("score", "1"), ("comment", "Portkoden CANARY-4711 är fel, säger Åsa"))
    everything = await everything_stored(pool)
    assert "Fjällbod" in everything  # the search does find what is there
    for canary in ("CANARY-4711", "Portkoden", "Åsa", token):
        assert canary not in everything
        assert canary.encode().hex() not in everything
    sealed = await pool.fetchval("SELECT comment_sealed FROM response")
    assert SEAL.open(sealed, token_hash(token).hex()) == "Portkoden CANARY-4711 är fel, säger Åsa"
    for page in ("", "?done=1", "?edit=1"):
        assert "CANARY-4711" not in (await ask(app, "GET", f"/r/{token}{page}")).text


@pytest.mark.parametrize("comment", ["a\x00b", "\u202eb", "😀" * 1000, "Z" + "\u0334" * 300, "' or 1=1--", "\\x00"])
async def test_odd_comments_are_kept_and_never_an_error(app: SurveyRoutes, pool: Pool, comment: str) -> None:
    token = await invite(pool)
    reply = await post(app, token, ("score", "3"), ("comment", comment))
    assert reply.status == 303
    assert (await stored(pool))[3]
