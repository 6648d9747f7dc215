"""Answers from programs, by the rules of the page: what is kept, conditions, revisions, wishes to be contacted."""

import asyncio
import json
import uuid
from functools import partial
from typing import Any

import pytest
from starlette.types import ASGIApp

from services.chassis.keys import Key
from services.chassis.postgres import Pool
from services.chassis.sealing import Seal
from services.chassis.settings import Settings
from services.notifier.planned import new_token
from services.survey.answers.responses import token_hash
from services.survey.api.keys import Scope
from tests.conftest import SEALING_KEY
from tests.programs import RESPONSES, TAPS, Clock, application, is_problem, new_key, send
from tests.survey_app import invite, told
from tests.tables import everything_stored, footprint

pytestmark = pytest.mark.service("survey")
CANARY = "kanariefågel-4711"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def app(pool: Pool, settings: Settings, clock: Clock) -> ASGIApp:
    return application(pool, settings, clock)


@pytest.fixture
async def key(pool: Pool) -> Key:
    return await new_key(pool, Scope.WRITE, Scope.READ)


async def test_an_answer_through_the_api_is_an_answer_like_any_other(app: ASGIApp, pool: Pool, key: Key) -> None:
    token = await invite(pool)
    said = {
        "token": token,
        "score": 2,
        "reasons": ["on_time"],
        "comment": "Hej\u0000 då",
        "language": "sv",
        "follow_ups": {"ease": 3},
    }
    reply = await send(app, "POST", RESPONSES, said, key=key)
    assert (reply.status, reply.headers["etag"]) == (201, '"1"')
    [event] = await told(pool)
    assert reply.json["id"] == event.response_id
    assert {n: v for n, v in reply.json.items() if n not in {"id", "editable_until"}} == {
        "revision": 1,
        "score": 2,
        "reasons": ["on_time"],
        "follow_ups": {"ease": 3},
        "commented": True,
        "contested": False,
        "wants_contact": False,
        "open": True,
    }
    assert (event.score, event.reasons, event.commented, event.channel) == (2, ("on_time",), True, "app")
    assert (event.invited, event.language) == (True, "sv")


async def test_a_wish_to_be_contacted_is_kept_sealed_with_the_consent_that_was_given(
    app: ASGIApp, pool: Pool, key: Key
) -> None:
    token = await invite(pool)
    wish = {"consent": "contact.v1", "address": " elin@mottagare.example ", "name": "Elin\u0000 Sandahl"}
    said = {"token": token, "score": 1, "wants_contact": True, "contact": wish}
    made = await send(app, "POST", RESPONSES, said, key=key)
    assert (made.status, made.json["wants_contact"]) == (201, True)
    assert "elin@" not in made.text + await everything_stored(pool)
    row = await pool.fetchrow("SELECT consent_version, sealed FROM contact_wish")
    assert row is not None
    assert row["consent_version"] == "contact.v1"
    opened = json.loads(Seal(bytes.fromhex(SEALING_KEY)).open(row["sealed"], f"contact {token_hash(token).hex()}"))
    assert opened == {"name": "Elin Sandahl", "address": "elin@mottagare.example"}
    assert [e.wants_contact for e in await told(pool)] == [True]
    gone = await send(app, "POST", RESPONSES, {"token": token, "wants_contact": False}, key=key)
    assert (gone.status, gone.json["wants_contact"]) == (200, False)
    assert await pool.fetchval("SELECT count(*) FROM contact_wish") == 0


@pytest.mark.parametrize(
    "said",
    [
        {"wants_contact": True},
        {"contact": {"consent": "contact.v1", "address": "elin@mottagare.example"}},
        {"wants_contact": False, "contact": {"consent": "contact.v1", "address": "elin@mottagare.example"}},
        {"wants_contact": True, "contact": {"address": "elin@mottagare.example"}},
        {"wants_contact": True, "contact": {"consent": "contact.v2", "address": "elin@mottagare.example"}},
        {"wants_contact": True, "contact": {"consent": "contact.v1", "address": "elin"}},
        {"wants_contact": True, "contact": {"consent": "contact.v1", "address": "070" + "1" * 300}},
    ],
)
async def test_without_address_or_consent_there_is_no_wish(
    app: ASGIApp, pool: Pool, key: Key, said: dict[str, Any]
) -> None:
    token, before = await invite(pool), await footprint(pool)
    reply = await send(app, "POST", RESPONSES, {"token": token, "score": 1, **said}, key=key)
    assert is_problem(reply, 422)
    assert "elin" not in reply.text
    after = await footprint(pool)
    for table in ("response", "contact_wish", "outbox"):
        assert after[table] == before[table]


async def test_a_program_sees_its_own_answers_without_the_comment(app: ASGIApp, pool: Pool, key: Key) -> None:
    token = await invite(pool)
    made = await send(app, "POST", RESPONSES, {"token": token, "score": 4, "comment": CANARY}, key=key)
    shown = await send(app, "GET", f"{RESPONSES}/{made.json['id']}", key=key)
    assert (shown.status, shown.json, shown.headers["etag"]) == (200, made.json, '"1"')
    assert CANARY not in made.text + shown.text
    other = await new_key(pool, Scope.WRITE, Scope.READ)
    for method, path, headers in (
        ("GET", f"{RESPONSES}/{made.json['id']}", ()),
        ("PATCH", f"{RESPONSES}/{made.json['id']}", (("if-match", '"1"'),)),
        ("GET", f"{RESPONSES}/{uuid.uuid4()}", ()),
        ("GET", f"{RESPONSES}/0", ()),
        ("GET", f"{RESPONSES}/null", ()),
    ):
        body = {"score": 1} if method == "PATCH" else None
        assert is_problem(await send(app, method, path, body, key=other, headers=headers), 404)
    assert [e.score for e in await told(pool)] == [4]


async def test_the_next_answer_is_merged_and_a_repeated_one_changes_nothing(app: ASGIApp, pool: Pool, key: Key) -> None:
    token = await invite(pool)
    for said, status, revision in (
        ({"score": 4}, 201, 1),
        ({"comment": "Snabbt"}, 200, 2),
        ({"score": 4}, 200, 2),
        ({"score": 5, "reasons": None}, 200, 3),
    ):
        reply = await send(app, "POST", RESPONSES, {"token": token, **said}, key=key)
        assert (reply.status, reply.json["revision"]) == (status, revision)
    assert [(e.revision, e.score, e.commented) for e in await told(pool)] == [
        (1, 4, False),
        (2, 4, True),
        (3, 5, True),
    ]


async def test_a_change_needs_the_revision_seen_last(app: ASGIApp, pool: Pool, key: Key) -> None:
    made = await send(app, "POST", RESPONSES, {"token": await invite(pool), "score": 4}, key=key)
    path = f"{RESPONSES}/{made.json['id']}"
    assert is_problem(await send(app, "PATCH", path, {"score": 1}, key=key), 428)
    changed = await send(app, "PATCH", path, {"score": 5}, key=key, headers=[("if-match", '"1"')])
    assert (changed.status, changed.headers["etag"], changed.json["score"]) == (200, '"2"', 5)
    assert is_problem(await send(app, "PATCH", path, {"score": 1}, key=key, headers=[("if-match", '"1"')]), 412)
    again = await send(app, "PATCH", path, {"score": 5}, key=key, headers=[("if-match", "*")])
    assert (again.status, again.headers["etag"]) == (200, '"2"')
    for nonsense in ('"0"', "1", '"1', 'W/"2"', '"２"', '""', "", "2"):
        reply = await send(app, "PATCH", path, {"score": 1}, key=key, headers=[("if-match", nonsense)])
        assert is_problem(reply, 412), nonsense
    assert [e.score for e in await told(pool)] == [4, 5]


async def test_a_change_to_the_first_answer_as_it_stands_makes_nothing_new(app: ASGIApp, pool: Pool, key: Key) -> None:
    made = await send(app, "POST", RESPONSES, {"token": await invite(pool), "score": 4}, key=key)
    same = await send(
        app, "PATCH", f"{RESPONSES}/{made.json['id']}", {"score": 4}, key=key, headers=[("if-match", "*")]
    )
    assert (same.status, same.headers["etag"]) == (200, '"1"')
    assert [e.score for e in await told(pool)] == [4]


async def test_of_many_changes_to_one_revision_one_holds(app: ASGIApp, pool: Pool, key: Key) -> None:
    made = await send(app, "POST", RESPONSES, {"token": await invite(pool), "score": 3}, key=key)
    path = f"{RESPONSES}/{made.json['id']}"
    replies = await asyncio.gather(
        *(send(app, "PATCH", path, {"score": n}, key=key, headers=[("if-match", '"1"')]) for n in (1, 2, 4, 5))
    )
    assert sorted(r.status for r in replies) == [200, 412, 412, 412]
    assert [e.revision for e in await told(pool)] == [1, 2]


async def test_a_locked_answer_stays(app: ASGIApp, pool: Pool, key: Key) -> None:
    token = await invite(pool)
    made = await send(app, "POST", RESPONSES, {"token": token, "score": 4}, key=key)
    await pool.execute("UPDATE invitation SET expires_at = clock_timestamp() - interval '1 s'")
    assert is_problem(await send(app, "POST", RESPONSES, {"token": token, "score": 1}, key=key), 423)
    path = f"{RESPONSES}/{made.json['id']}"
    assert is_problem(await send(app, "PATCH", path, {"score": 1}, key=key, headers=[("if-match", '"1"')]), 423)
    assert (await send(app, "GET", path, key=key)).json["open"] is False


async def test_an_unknown_link_may_be_a_new_one_while_invitations_are_read(
    app: ASGIApp, pool: Pool, settings: Settings, key: Key
) -> None:
    said = {"token": new_token(), "score": 4}
    assert is_problem(await send(app, "POST", RESPONSES, said, key=key), 404)
    behind = application(pool, settings, Clock(), caught_up=False)
    reply = await send(behind, "POST", RESPONSES, said, key=key)
    assert is_problem(reply, 503)
    assert reply.headers["retry-after"] == "2"


async def test_a_link_whose_invitation_was_put_aside_is_to_be_tried_later(app: ASGIApp, pool: Pool, key: Key) -> None:
    token = new_token()
    await pool.execute("INSERT INTO unread_link (token_sha256) VALUES ($1)", token_hash(token))
    assert is_problem(await send(app, "POST", RESPONSES, {"token": token, "score": 4}, key=key), 503)


async def test_an_answer_whose_invitation_comes_while_kafka_is_asked_is_kept(
    pool: Pool, settings: Settings, key: Key
) -> None:
    token = new_token()
    app = application(pool, settings, Clock(), meanwhile=partial(invite, pool, token=token))
    assert (await send(app, "POST", RESPONSES, {"token": token, "score": 4}, key=key)).status == 201
    assert [answer.score for answer in await told(pool)] == [4]


async def test_without_postgresql_nothing_is_promised(
    app: ASGIApp, pool: Pool, key: Key, caplog: pytest.LogCaptureFixture
) -> None:
    token = await invite(pool)
    pool.terminate()
    for method, path, body in (
        ("POST", RESPONSES, {"token": token, "score": 4}),
        ("POST", TAPS, {"score": 4}),
        ("GET", f"{RESPONSES}/{uuid.uuid4()}", None),
    ):
        reply = await send(app, method, path, body, key=key)
        assert is_problem(reply, 503)
        assert reply.headers["retry-after"] == "2"
    assert token not in caplog.text
