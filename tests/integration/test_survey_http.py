"""The recipient's pages over HTTP: GET writes nothing, POST answers after the commit (guarantees 1 and 10)."""

import asyncio
import re
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import asyncpg
import pytest
from structlog.testing import capture_logs

from schemas.invitation import InvitationDecided, InvitationProgress
from schemas.recipient import PersonErased
from services.chassis.http_protocol import Lane, Whole
from services.chassis.persons import PersonKeys
from services.chassis.postgres import Pool, named_sql, open_look_up_pool
from services.chassis.records import Received
from services.chassis.settings import Settings
from services.notifier.planned import new_token
from services.survey import bodies
from services.survey.answers.handlers import LearnInvitations
from services.survey.answers.recorded import Page
from services.survey.answers.responses import token_hash
from services.survey.privacy.erasure import ErasePersons
from services.survey.recipient.http import SurveyRoutes
from services.survey.recipient.page_models import CaseNotice
from tests.asgi import ask
from tests.builders import NOON, decided
from tests.survey_app import FORM, SEAL, invite, lock, post, survey, told
from tests.tables import everything_stored, footprint

pytestmark = pytest.mark.service("survey")

NOT_SAVED = "Svaret är inte sparat än."
NOTHING_THERE = "Länken"


@pytest.fixture
def app(pool: Pool, settings: Settings) -> SurveyRoutes:
    return survey(pool, settings)


async def stored(pool: Pool) -> tuple[int, int | None, list[str] | None, bool, bool]:
    """Revision, score, reasons, whether there is a comment, contested: of the only response."""
    [row] = await pool.fetch("SELECT * FROM response")
    return (
        row["revision"],
        row["score"],
        row["reasons"],
        row["comment_sealed"] is not None,
        bool(row["contested"]),
    )


# -- reading --


@pytest.mark.parametrize(
    ("method", "query", "headers", "status"),
    [
        ("GET", "", (), 200),
        ("GET", "?s=5", (), 200),
        ("GET", "?score=5&contested=1&comment=hej", (), 200),
        ("GET", "?s=5&lang=en&done=1&edit=1", (("purpose", "prefetch"),), 200),
        ("GET", "?s=1", (("sec-purpose", "prefetch;prerender"), ("x-moz", "prefetch")), 200),
        ("HEAD", "?s=5", (), 200),
        ("OPTIONS", "", (("access-control-request-method", "POST"),), 405),
        ("PUT", "?score=5", (), 405),
        ("DELETE", "", (), 405),
        ("get", "?score=5", (), 405),
    ],
)
@pytest.mark.parametrize("answered", [False, True])
async def test_looking_at_a_page_writes_nothing(
    app: SurveyRoutes,
    pool: Pool,
    method: str,
    query: str,
    headers: tuple[tuple[str, str], ...],
    status: int,
    answered: bool,
) -> None:
    token = await invite(pool)
    if answered:
        await post(app, token, ("score", "2"))
    before = await footprint(pool)
    reply = await ask(app, method, f"/r/{token}{query}", headers=headers, parts=[b"score=5&nonce="])
    assert reply.status == status
    assert await footprint(pool) == before


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


async def test_the_look_is_not_planned_anew_each_time(pool: Pool, settings: Settings) -> None:
    app = survey(pool, settings)
    app.answers.looking = await open_look_up_pool(settings, "survey", 1)
    for _ in range(3):
        token = await invite(pool)
        await post(app, token, ("score", "4"))
        assert "checked" in (await ask(app, "GET", f"/r/{token}")).text
    rows = await app.answers.looking.fetch("SELECT statement, generic_plans, custom_plans FROM pg_prepared_statements")
    app.answers.looking.terminate()
    ours = [(r["generic_plans"], r["custom_plans"]) for r in rows if "token_sha256" in r["statement"]]
    assert ours == [(3, 0)]


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


async def test_who_guessed_too_often_is_the_application_s_to_refuse(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    assert await by_lane(app, f"/r/{token}", lets_look=False) is None


async def test_a_page_that_cannot_be_read_is_the_application_s_to_excuse(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    await pool.execute("ALTER TABLE invitation RENAME TO away")
    assert await by_lane(app, f"/r/{token}") is None
    await pool.execute("ALTER TABLE away RENAME TO invitation")


async def steps(pool: Pool) -> list[InvitationProgress]:
    rows = await pool.fetch("SELECT value FROM outbox WHERE topic = 'invitation.progress.v1' ORDER BY id")
    return [InvitationProgress.model_validate_json(r["value"]) for r in rows]


async def test_a_page_that_a_person_touched_is_told_once_and_only_before_any_answer(
    app: SurveyRoutes, pool: Pool
) -> None:
    token, answered, expired = await invite(pool), await invite(pool), await invite(pool)
    await post(app, answered, ("score", "2"))
    await lock(pool, expired)
    for link in (token, token, answered, expired, new_token()):
        assert (await post(app, link, ("part", "opened"))).status == 204
    assert (await post(app, token, ("part", "opened"), nonce="other")).status == 403
    [step] = await steps(pool)
    [row] = await pool.fetch("SELECT * FROM invitation WHERE token_sha256 = $1", token_hash(token))
    assert (step.step.value, step.channel, step.invitation_id) == ("opened", "web", str(row["invitation_id"]))
    assert step.delivery.model_dump_json(exclude_none=True) == row["delivery"]
    assert await pool.fetchval("SELECT count(*) FROM response") == 1


async def test_a_page_that_a_program_looks_through_is_not_told_as_opened(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    for face in range(1, 6):
        await ask(app, "GET", f"/r/{token}?s={face}")
    assert (await post(app, token, ("part", "opened"))).status == 204
    assert await steps(pool) == []


async def test_a_link_with_a_face_only_marks_it(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    reply = await ask(app, "GET", f"/r/{token}?s=4")
    assert re.search(r'value="4" required checked', reply.text)
    for nonsense in ("0", "6", "true", "４", "4'"):
        assert "required checked" not in (await ask(app, "GET", f"/r/{token}?s={nonsense}")).text


async def test_token_pages_are_not_cached_indexed_framed_or_referred_from(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    for reply in (
        await ask(app, "GET", f"/r/{token}"),
        await post(app, token),
        await ask(app, "GET", "/r/nobody"),
    ):
        assert reply.headers["cache-control"] == "no-store"
        assert reply.headers["referrer-policy"] == "no-referrer"
        assert reply.headers["x-robots-tag"] == "noindex"
        assert "default-src 'none'" in reply.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in reply.headers["content-security-policy"]


async def test_unknown_malformed_expired_and_erased_links_look_the_same(app: SurveyRoutes, pool: Pool) -> None:
    expired = await invite(pool, expires_in=timedelta(seconds=-1), language="en")
    erased = await invite(pool, person_id="a5" * 16, language="en")
    assert (await post(app, erased, ("score", "4"))).status == 303
    person = PersonErased(person_id="a5" * 16, requested_at=datetime.now(UTC))
    async with pool.acquire() as connection, connection.transaction():
        await ErasePersons(PersonKeys(SEAL))(connection, [Received(person, None, NOON)])
    paths = [
        new_token(),
        erased,
        "x",
        "",
        expired,
        expired + "A",
        expired[:-1],
        expired + "\n",
        "../../etc/passwd",
        "%00",
        "４" * 22,
        "a" * 5000,
    ]
    replies = [await ask(app, "GET", f"/r/{p}", headers=[("accept-language", "sv")]) for p in paths]
    assert {r.status for r in replies} == {404}
    assert len({r.body for r in replies}) == 1
    assert len({tuple(r.headers.items()) for r in replies}) == 1
    assert 'name="nonce"' not in replies[0].text


@pytest.mark.parametrize(
    ("query", "invited", "browser", "shown", "logged"),
    [
        ("", "nn", "en-GB,en;q=0.9", "nn", None),
        ("?lang=fi", "nn", "de", "fi", None),
        ("", "sv", "de-DE", "sv", None),
        ("?lang=fo", "sv", "de", "da", ("fo", "da")),
        ("?lang=pl", "sv", "de", "sv", ("pl", "sv")),
        ("?lang=%3Cscript%3E", "sv", "de", "sv", None),
    ],
)
async def test_the_language_is_the_persons_choice_then_the_invitations_and_a_fallback_is_logged_once_by_its_codes(
    app: SurveyRoutes, pool: Pool, query: str, invited: str, browser: str, shown: str, logged: tuple[str, str] | None
) -> None:
    token = await invite(pool, language=invited)
    with capture_logs() as lines:
        reply = await ask(app, "GET", f"/r/{token}{query}", headers=[("accept-language", browser)])

    assert f'<html lang="{shown}">' in reply.text
    expected = [] if logged is None else [{"event": "language not offered", "wanted": logged[0], "used": logged[1]}]
    assert [{k: v for k, v in line.items() if k != "log_level"} for line in lines] == expected


async def test_while_invitations_are_being_read_an_unknown_link_may_be_a_new_one(
    pool: Pool, settings: Settings
) -> None:
    behind = survey(pool, settings, caught_up=False)
    reply = await ask(behind, "GET", f"/r/{new_token()}")
    assert (reply.status, reply.headers["retry-after"]) == (503, "2")
    assert 'data-reload="2"' in reply.text
    refused = await post(behind, new_token(), ("score", "4"), as_json=True)
    assert (refused.status, refused.headers["retry-after"]) == (503, "2")
    assert (await post(behind, new_token(), ("score", "4"))).status == 503
    token = await invite(pool)
    assert (await post(behind, token, ("score", "4"), as_json=True)).json == {"revision": 1}


# -- answering --


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


# -- refusing --


async def test_a_locked_answer_is_read_only(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    await post(app, token, ("score", "4"))
    await lock(pool, token)
    before = await footprint(pool)
    refused = await post(app, token, ("score", "1"), as_json=True)
    assert (refused.status, refused.headers["content-type"]) == (423, "application/problem+json")
    shown = await post(app, token, ("score", "1"))
    assert (shown.status, shown.headers["content-type"]) == (423, "text/html; charset=utf-8")
    page = await ask(app, "GET", f"/r/{token}?lang=sv")
    assert page.status == 200
    assert shown.body == page.body or "<form" not in shown.text
    for text in (shown.text, page.text):
        assert "<form" not in text
        assert "Nöjd" in text
    assert await footprint(pool) == before


async def test_who_answers_too_late_for_the_first_time_reads_that_it_is_closed(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    await lock(pool, token)
    reply = await post(app, token, ("score", "4"))
    assert reply.status == 423
    assert "<form" not in reply.text
    assert await pool.fetchval("SELECT count(*) FROM response") == 0


async def test_an_answer_that_is_not_from_our_page_is_refused(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    before = await footprint(pool)
    wrong_ones = [
        "",
        "x",
        app._views.nonce(new_token()),
        app._views.nonce(token)[:-1],
        "é",
        app._views.nonce(token) + "é",
        "\ud83d\ude00",
    ]
    for nonce in (n.encode("utf-16", "surrogatepass").decode("utf-16") for n in wrong_ones):
        assert (await post(app, token, ("score", "4"), nonce=nonce, as_json=True)).status == 403
        reply = await post(app, token, ("score", "4"), nonce=nonce)
        assert reply.status == 403
        assert NOT_SAVED in reply.text
    missing = await ask(app, "POST", f"/r/{token}", headers=[("content-type", FORM)], parts=[b"score=4"])
    assert missing.status == 403
    assert await footprint(pool) == before


async def test_posting_to_no_link_looks_the_same_whatever_link_it_is_not(app: SurveyRoutes, pool: Pool) -> None:
    expired = await invite(pool, expires_in=timedelta(seconds=-1))
    for as_json in (False, True):
        replies = [
            await post(app, t, ("score", "4"), nonce="guessed", as_json=as_json)
            for t in (new_token(), "x", expired, expired + "\n")
        ]
        assert {r.status for r in replies} == {403}
        assert len({r.body for r in replies}) == 1


async def test_an_unknown_link_is_unknown_to_post_too(app: SurveyRoutes) -> None:
    refused = await post(app, new_token(), ("score", "4"), as_json=True)
    assert (refused.status, refused.json["title"]) == (404, "No such link")
    shown = await post(app, new_token(), ("score", "4"))
    assert shown.status == 404
    assert shown.body == (await ask(app, "GET", "/r/x?lang=sv")).body


@pytest.mark.parametrize(
    ("pairs", "title"),
    [
        ((("score", "6"),), "score must be 1, 2, 3, 4 or 5"),
        ((("score", "4"), ("comment", "å" * 2001)), "comment must have at most 2000 characters"),
        ((("reasons", "price"),), "reasons must be among the ones offered"),
        ((), "score is missing"),
    ],
)
async def test_an_answer_that_breaks_a_rule_is_refused_and_nothing_of_it_kept(
    app: SurveyRoutes, pool: Pool, pairs: tuple[tuple[str, str], ...], title: str
) -> None:
    token = await invite(pool)
    before = await footprint(pool)
    refused = await post(app, token, *pairs, as_json=True)
    assert (refused.status, refused.json["title"]) == (422, title)
    shown = await post(app, token, *pairs)
    assert (shown.status, shown.headers["content-type"]) == (422, "text/html; charset=utf-8")
    assert NOT_SAVED in shown.text
    assert await footprint(pool) == before


async def test_a_refused_details_form_keeps_what_was_ticked_and_written(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    await post(app, token, ("score", "2"))
    written = "<b>Låda</b> " + "å" * 2000
    shown = await post(app, token, ("part", "details"), ("reasons", "condition"), ("comment", written))
    assert shown.status == 422
    assert 'id="reason-condition" value="condition" checked' in shown.body.decode()
    assert "&lt;b&gt;Låda&lt;/b&gt; " + "å" * 2000 in shown.body.decode()
    assert app._views.nonce(token) in shown.text


@pytest.mark.parametrize(
    ("headers", "parts", "status"),
    [
        ([("content-length", "16385")], [b""], 413),
        ([("content-length", "9" * 4000)], [b""], 413),
        ([], [b"comment="] + [b"a" * 4096] * 4, 413),  # chunked
        ([("content-length", "10")], [b"comment=", b"a" * 16384], 413),  # a lie
        ([("content-length", "ten")], [b"score=4"], 422),
        ([("content-length", "-1")], [b"score=4"], 422),
        ([], [b"comment=%ff&score=4"], 422),
        ([], [b"\xff\xfe"], 422),
        ([], [b"&".join([b"a=1"] * 1000)], 422),
    ],
)
async def test_bodies_that_no_page_of_ours_sends_are_refused(
    app: SurveyRoutes, pool: Pool, headers: list[tuple[str, str]], parts: list[bytes], status: int
) -> None:
    token = await invite(pool)
    before = await footprint(pool)
    for more in ([], [("accept", "application/json")]):
        reply = await ask(app, "POST", f"/r/{token}", headers=[("content-type", FORM), *headers, *more], parts=parts)
        assert reply.status == status
    assert await footprint(pool) == before


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "multipart/form-data; boundary=x", ""])
async def test_only_forms_are_read(app: SurveyRoutes, pool: Pool, kind: str) -> None:
    token = await invite(pool)
    body = f"nonce={app._views.nonce(token)}&score=4".encode()
    reply = await ask(app, "POST", f"/r/{token}", headers=[("content-type", kind)], parts=[body])
    assert reply.status == 422
    assert await pool.fetchval("SELECT count(*) FROM response") == 0


async def test_sixteen_kilobytes_are_enough_for_the_longest_swedish_comment(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    assert (await post(app, token, ("score", "1"), ("comment", "å" * 2000))).status == 303


async def test_a_body_that_never_ends_is_given_up(
    app: SurveyRoutes, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "_BODY_SECONDS", 0.1)
    token = await invite(pool)
    scope = {
        "type": "http",
        "method": "POST",
        "path": f"/r/{token}",
        "query_string": b"",
        "headers": [(b"content-type", FORM.encode()), (b"accept", b"application/json")],
    }
    sent: list[Any] = []

    async def drip() -> dict[str, Any]:
        await asyncio.sleep(0.03)
        return {"type": "http.request", "body": b"a", "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, drip, send)
    assert sent[0]["status"] == 408


async def test_who_looks_at_the_same_time_sees_each_their_own_page_from_few_statements(
    pool: Pool, app: SurveyRoutes, monkeypatch: pytest.MonkeyPatch
) -> None:
    shops = [f"Butik {n}" for n in range(20)]
    facts = [{"delivery_id": f"D-{n}", "merchant_name": shop} for n, shop in enumerate(shops)]
    tokens = [await invite(pool, delivery=delivery) for delivery in facts]
    asked: list[int] = []
    look_up = app.answers._looks._flush

    async def counted(batch: Sequence[bytes]) -> Sequence[Page | None]:
        asked.append(len(batch))
        return await look_up(batch)

    monkeypatch.setattr(app.answers._looks, "_flush", counted)
    looks = [*tokens, tokens[0], new_token()]
    replies = await asyncio.gather(*(ask(app, "GET", f"/r/{token}") for token in looks))
    for shop, reply in zip([*shops, shops[0]], replies, strict=False):
        assert re.findall(r"Butik \d+", reply.text)[0] == shop
        assert len(set(re.findall(r"Butik \d+", reply.text))) == 1
    assert [r.status for r in replies] == [200] * 21 + [404]
    assert sum(asked) == 22
    assert len(asked) == 1


async def test_too_many_looks_at_once_are_told_to_come_back(
    pool: Pool, app: SurveyRoutes, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = await invite(pool)
    monkeypatch.setattr(app.answers._looks, "_queue", 0)
    reply = await ask(app, "GET", f"/r/{token}")
    assert (reply.status, reply.headers["retry-after"]) == (503, "2")


async def test_who_comes_when_too_many_wait_is_told_so_and_nothing_is_kept(pool: Pool, settings: Settings) -> None:
    crowded = survey(pool, settings, queue=1)
    tokens = [await invite(pool, delivery={"delivery_id": f"D-{n}"}) for n in range(4)]
    async with pool.acquire() as connection:
        async with connection.transaction():
            await connection.execute("LOCK TABLE response IN EXCLUSIVE MODE")
            in_flight = asyncio.create_task(post(crowded, tokens[0], ("score", "4")))
            await asyncio.sleep(0.1)
            waiting = asyncio.create_task(post(crowded, tokens[1], ("score", "4")))
            await asyncio.sleep(0.1)
            refused = await post(crowded, tokens[2], ("score", "4"), as_json=True)
            shown = await post(crowded, tokens[3], ("score", "4"))
        assert (await in_flight).status == 303
        assert (await waiting).status == 303
    assert (refused.status, refused.headers["retry-after"]) == (503, "2")
    assert (shown.status, shown.headers["retry-after"]) == (503, "2")
    assert NOT_SAVED in shown.text
    assert re.search(r'value="4" required checked', shown.text)
    assert await pool.fetchval("SELECT count(*) FROM response") == 2


async def test_too_many_at_once_are_kept_or_told_to_come_back_and_all_are_kept_when_they_do(
    pool: Pool, settings: Settings
) -> None:
    crowded = survey(pool, settings, queue=8)
    tokens = [await invite(pool, delivery={"delivery_id": f"D-{n}"}) for n in range(40)]
    async with pool.acquire() as connection, asyncio.TaskGroup() as group, connection.transaction():
        await connection.execute("LOCK TABLE response IN EXCLUSIVE MODE")
        posting = {t: group.create_task(post(crowded, t, ("score", "4"), as_json=True)) for t in tokens}
        await asyncio.sleep(0.3)
    replies = {token: task.result() for token, task in posting.items()}
    kept = [token_hash(t) for t, r in replies.items() if r.status == 200]
    refused = [t for t, r in replies.items() if r.status == 503]
    assert len(kept) in {8, 9}  # the queue, and what was on its way already
    assert len(kept) + len(refused) == 40
    assert {replies[t].headers["retry-after"] for t in refused} == {"2"}
    rows = await pool.fetch(
        "SELECT token_sha256 FROM response AS r JOIN invitation AS i ON i.invitation_id = r.response_id"
        " JOIN outbox AS o ON o.key = convert_to(r.response_id::text, 'UTF8')"
    )
    assert sorted(r["token_sha256"] for r in rows) == sorted(kept)
    for token in refused:
        assert (await post(crowded, token, ("score", "4"), as_json=True)).status == 200


@pytest.mark.parametrize("how", ["gone", "nobody listens", "read-only", "hangs up"])
async def test_with_postgres_away_nothing_is_acknowledged(
    pool: Pool, settings: Settings, how: str, unused_tcp_port: int
) -> None:
    token = await invite(pool)
    used = pool
    if how == "gone":
        pool.terminate()
    elif how == "nobody listens":
        used = await asyncpg.create_pool(f"postgresql://postgres@127.0.0.1:{unused_tcp_port}/x", min_size=0)
    elif how == "read-only":
        used = await asyncpg.create_pool(
            settings.postgres_dsn.get_secret_value(),
            min_size=0,
            server_settings={"search_path": "survey", "default_transaction_read_only": "on"},
        )
    else:
        await pool.execute(
            "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$;"
            "CREATE TRIGGER die BEFORE INSERT ON response FOR EACH ROW EXECUTE FUNCTION die()"
        )
    app = survey(used, settings)
    refused = await post(app, token, ("score", "4"), as_json=True)
    assert (refused.status, refused.headers["retry-after"]) == (503, "2")
    shown = await post(app, token, ("score", "4"))
    assert (shown.status, shown.headers["content-type"]) == (503, "text/html; charset=utf-8")
    assert NOT_SAVED in shown.text
    looked = await ask(app, "GET", f"/r/{token}?lang=sv")
    away = how in {"gone", "nobody listens"}
    assert (looked.status, "Det går inte just nu." in looked.text) == ((503, True) if away else (200, False))
    assert not (away and NOT_SAVED in looked.text)  # who only looks has answered nothing
    used.terminate()


async def test_invitations_told_twice_or_withheld_later_change_nothing(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    invitation_id = await pool.fetchval("SELECT invitation_id FROM invitation")
    before = await footprint(pool)
    again = [
        decided(
            revision=2,
            outcome=outcome,
            reason="too_old",
            invitation_id=str(invitation_id),
            token_sha256=token_hash(token).hex(),
            expires_at=NOON,
        )
        for outcome in ("asked", "suppressed", "failed")
    ]
    without_link: list[InvitationDecided] = [decided(outcome="suppressed", reason="exception_open")]
    async with pool.acquire() as connection, connection.transaction():
        learn = LearnInvitations(named_sql("services.survey"))
        await learn(connection, [Received(m, None, NOON) for m in again + without_link])
    assert await footprint(pool) == before
    assert (await post(app, token, ("score", "4"))).status == 303


# -- the fast lane --


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
