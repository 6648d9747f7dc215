"""Answers from programs: the rules of the page, keys, conditions, and refusals that repeat nothing."""

import asyncio
import json
import uuid
from datetime import timedelta
from typing import Any

import pytest
from starlette.types import ASGIApp

from schemas.response import ResponseRecorded
from services.chassis.keys import Key
from services.chassis.postgres import Pool, named_sql
from services.chassis.sealing import Seal
from services.chassis.settings import Settings
from services.notifier.planned import new_token
from services.survey.answers.responses import token_hash
from services.survey.api.keys import Scope
from tests.asgi import Reply
from tests.conftest import SEALING_KEY
from tests.programs import TORGET, Clock, application, new_key, send
from tests.survey_app import invite
from tests.tables import everything_stored, footprint

pytestmark = pytest.mark.service("survey")

RESPONSES = "/api/v1/responses"
TAPS = "/api/v1/kiosk/responses"
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


async def told(pool: Pool) -> list[ResponseRecorded]:
    rows = await pool.fetch("SELECT value FROM outbox WHERE topic = 'response.recorded.v1' ORDER BY id")
    return [ResponseRecorded.model_validate_json(r["value"]) for r in rows]


def is_problem(reply: Reply, status: int) -> bool:
    """Whether this is the problem document of a status."""
    kind = reply.headers["content-type"] == "application/problem+json"
    return kind and reply.status == status == reply.json["status"] and reply.headers["cache-control"] == "no-store"


# -- answers --


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


# -- the same request again (security row 4) --


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


# -- input (security rows 5, 7, 8, 10, 12) --

TOKENS: list[Any] = [None, [], 0, "", "x", "４" * 22, "A" * 23, "A" * 21 + "\u0000", {"$ne": 1}, True]
SCORES = ["0", "6", "-1", "9223372036854775808", "1e308", '"5"', "5.0000001", "true", "NaN", "[]", '""', "1e1000"]
NOT_OFFERED: dict[str, Any] = {
    "counted": True,
    "partner_id": 2,
    "rev": 99,
    "revision": 99,
    "suspected_machine": True,
    "rated": "shop",
    "invited": False,
    "channel": "web",
    "answered_at": "2026-01-01T00:00:00Z",
}
SAYING_NOTHING = [
    *(b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"\xef\xbb\xbf{}", b"[" * 5000),
    *(b"{}", b'{"score": null}', b'{"comment": " "}', b'{"comment": "\\u200d\\u0000"}', b'{"contested": 1}'),
    *(b'{"reasons": "on_time"}', b'{"reasons": ["rude"]}', b'{"score": 1, "comment": 5}'),
    *(b'{"follow_ups": {}}', b'{"follow_ups": {"ease": 6}}', b'{"follow_ups": {"ease": null}}', b'{"follow_ups": []}'),
    *(b'{"score": 1, "comment": "\\ud800"}', b'{"score": 1, "comment": "\xff"}'),
]


async def test_a_token_of_another_kind_is_refused(app: ASGIApp, pool: Pool, key: Key) -> None:
    before = await footprint(pool)
    for token in TOKENS:
        assert is_problem(await send(app, "POST", RESPONSES, {"token": token, "score": 4}, key=key), 422), token
    assert is_problem(await send(app, "POST", RESPONSES, {"score": 4}, key=key), 422)
    assert await footprint(pool) == before


async def test_a_score_outside_its_domain_is_refused(app: ASGIApp, pool: Pool, key: Key) -> None:
    token = await invite(pool)
    kiosk = await new_key(pool, Scope.KIOSK, place=TORGET)
    for score in SCORES:
        said = f'{{"token": "{token}", "score": {score}}}'.encode()
        assert is_problem(await send(app, "POST", RESPONSES, said, key=key), 422), score
        assert is_problem(await send(app, "POST", TAPS, f'{{"score": {score}}}'.encode(), key=kiosk), 422), score
    assert await told(pool) == []


async def test_nothing_can_be_set_that_is_not_offered(app: ASGIApp, pool: Pool, key: Key) -> None:
    token = await invite(pool)
    kiosk = await new_key(pool, Scope.KIOSK, place=TORGET)
    for name, value in NOT_OFFERED.items():
        reply = await send(app, "POST", RESPONSES, {"token": token, "score": 4, name: value}, key=key)
        assert is_problem(reply, 422)
        assert reply.json["errors"] == [{"at": "*", "rule": "Extra inputs are not permitted"}]
        assert is_problem(await send(app, "POST", TAPS, {"score": 4, name: value}, key=kiosk), 422)
    assert await told(pool) == []


async def test_a_body_that_says_nothing_right_is_refused(app: ASGIApp, pool: Pool, key: Key) -> None:
    token = await invite(pool)
    before = await footprint(pool)
    for body in SAYING_NOTHING:
        whole = body.replace(b"{", b'{"token": "%s", ' % token.encode(), 1).replace(b", }", b"}")
        assert is_problem(await send(app, "POST", RESPONSES, whole, key=key), 422), body
    assert await footprint(pool) == before


async def test_a_refusal_repeats_nothing_that_was_sent(app: ASGIApp, pool: Pool, key: Key) -> None:
    token = await invite(pool)
    for said in (
        {"token": token, "score": CANARY},
        {"token": token, CANARY: 1},
        {"token": CANARY, "score": 1},
        {"token": token, "reasons": [CANARY]},
        {"token": token, "comment": CANARY * 200},
        {"token": token, "score": 9, "comment": CANARY},
        {"token": token, "language": CANARY},
    ):
        reply = await send(app, "POST", RESPONSES, said, key=key)
        assert is_problem(reply, 422)
        assert CANARY not in reply.text
        assert token not in reply.text
    assert reply.json["errors"][0]["at"] == "language"
    assert CANARY not in await everything_stored(pool)


async def test_a_body_of_another_kind_or_size_is_refused(app: ASGIApp, key: Key) -> None:
    kinds: list[tuple[str, str, bytes, int]] = [
        ("content-type", "text/plain", b'{"score": 4}', 415),
        ("content-type", "application/x-www-form-urlencoded", b"score=4", 415),
        ("content-type", "", b'{"score": 4}', 415),
        ("content-length", "99999999", b'{"score": 4}', 413),
        ("content-length", "1e3", b'{"score": 4}', 422),
        ("x-any", "1", b'{"score": 4, "comment": "' + b"x" * 16_384 + b'"}', 413),
        ("content-encoding", "gzip", b"\x1f\x8b\x08\x00", 422),
    ]
    for name, value, body, status in kinds:
        assert is_problem(await send(app, "POST", RESPONSES, body, key=key, headers=[(name, value)]), status), name


async def test_four_byte_characters_fill_a_whole_comment(app: ASGIApp, pool: Pool, key: Key) -> None:
    said = {"token": await invite(pool), "comment": "😀" * 2000}
    reply = await send(app, "POST", RESPONSES, json.dumps(said, ensure_ascii=False).encode(), key=key)
    assert (reply.status, reply.json["commented"]) == (201, True)


async def test_what_is_not_there_is_a_problem_document_too(app: ASGIApp, key: Key) -> None:
    for path in ("/api/", "/api/v1", "/api/v1/responses/", "/api/docs", "/api/openapi.json", "/api/v2/x"):
        assert is_problem(await send(app, "GET", path, key=key), 404), path
    reply = await send(app, "DELETE", RESPONSES)
    assert (reply.status, reply.headers["allow"]) == (405, "POST")


# -- keys (security row 25) --


async def test_only_a_valid_key_with_the_right_scope_opens(app: ASGIApp, pool: Pool) -> None:
    token = await invite(pool)
    reader, writer = await new_key(pool, Scope.READ), await new_key(pool, Scope.WRITE)
    kiosk = await new_key(pool, Scope.KIOSK, place=TORGET)
    expired = await new_key(pool, Scope.WRITE, days=-1)
    said = {"token": token, "score": 4}
    unknown = Key("a" * 10, writer.secret)
    for wrong in (None, expired, unknown, Key(writer.prefix, reader.secret)):
        reply = await send(app, "POST", RESPONSES, said, key=wrong)
        assert is_problem(reply, 401)
        assert reply.headers["www-authenticate"] == "Bearer"
    for header in ("", "Bearer", "Basic " + writer.text, writer.text, f"Bearer {writer.text} x", "Bearer \u00ff"):
        assert is_problem(await send(app, "POST", RESPONSES, said, headers=[("authorization", header)]), 401)
    for wrong in (reader, kiosk):
        assert is_problem(await send(app, "POST", RESPONSES, said, key=wrong), 403)
    for wrong in (reader, writer):
        assert is_problem(await send(app, "POST", TAPS, {"score": 4}, key=wrong), 403)
    assert is_problem(await send(app, "GET", f"{RESPONSES}/{uuid.uuid4()}", key=writer), 403)
    assert await told(pool) == []
    assert (await send(app, "POST", RESPONSES, said, key=writer)).status == 201


async def test_a_revoked_key_opens_nothing_from_that_moment(app: ASGIApp, pool: Pool, key: Key) -> None:
    await pool.execute("UPDATE api_client SET revoked_at = clock_timestamp()")
    assert is_problem(await send(app, "POST", RESPONSES, {"token": new_token(), "score": 4}, key=key), 401)


async def test_a_key_in_the_address_is_refused_also_beside_a_right_one(app: ASGIApp, pool: Pool, key: Key) -> None:
    token = await invite(pool)
    for name in ("key", "api_key", "access_token", "token", "Authorization", "x"):
        path = f"{RESPONSES}?{name}={key.text}"
        assert is_problem(await send(app, "POST", path, {"token": token, "score": 4}, key=key), 400)
        assert is_problem(await send(app, "POST", path, {"token": token, "score": 4}), 400)
    assert await told(pool) == []


# -- kiosks --


async def test_a_tap_is_an_answer_that_nobody_was_invited_to(app: ASGIApp, pool: Pool) -> None:
    kiosk = await new_key(pool, Scope.KIOSK, place=TORGET)
    reply = await send(app, "POST", TAPS, {"score": 4, "language": "fi"}, key=kiosk)
    assert (reply.status, reply.json["revision"]) == (201, 1)
    [event] = await told(pool)
    assert (event.response_id, event.invited, event.invitation_id) == (reply.json["id"], False, None)
    assert (event.score, event.channel, event.language, event.survey) == (4, "kiosk", "fi", "shop_pickup.v1")
    facts = event.delivery
    assert facts.delivery_id == f"kiosk:{event.response_id}"
    assert (facts.service_point, facts.carrier, facts.country) == ("Torget Spel & Tobak", "Nordposten Demo", "SE")
    assert (facts.method, facts.touchpoint, facts.zone) == ("service_point", "shop_pickup", "Europe/Stockholm")
    assert facts.occurred_at == event.answered_at
    assert await pool.fetchval("SELECT count(*) FROM response") == 0


async def test_quick_taps_at_one_kiosk_are_one_person(app: ASGIApp, pool: Pool, clock: Clock) -> None:
    here, there = [await new_key(pool, Scope.KIOSK, place=TORGET) for _ in range(2)]
    first = await send(app, "POST", TAPS, {"score": 1}, key=here)
    elsewhere = await send(app, "POST", TAPS, {"score": 5}, key=there)
    again = await send(app, "POST", TAPS, {"score": 1}, key=here)
    corrected = await send(app, "POST", TAPS, {"score": 2}, key=here)
    assert [r.json["revision"] for r in (first, again, corrected, elsewhere)] == [1, 1, 2, 1]
    assert first.json["id"] == again.json["id"] == corrected.json["id"] != elsewhere.json["id"]
    clock.ahead = timedelta(seconds=4)
    next_person = await send(app, "POST", TAPS, {"score": 2}, key=here)
    assert next_person.json["id"] != first.json["id"]
    mine = [(e.revision, e.score) for e in await told(pool) if e.response_id == first.json["id"]]
    assert mine == [(1, 1), (2, 2)]


async def test_taps_at_the_same_moment_are_one_person(app: ASGIApp, pool: Pool) -> None:
    kiosk = await new_key(pool, Scope.KIOSK, place=TORGET)
    replies = await asyncio.gather(*(send(app, "POST", TAPS, {"score": n % 5 + 1}, key=kiosk) for n in range(10)))
    assert len({r.json["id"] for r in replies}) == 1
    revisions = [e.revision for e in await told(pool)]
    assert revisions == list(range(1, max(r.json["revision"] for r in replies) + 1))


async def test_the_audit_knows_taps_as_acknowledged_answers(app: ASGIApp, pool: Pool) -> None:
    kiosk = await new_key(pool, Scope.KIOSK, place=TORGET)
    tapped = uuid.UUID((await send(app, "POST", TAPS, {"score": 4}, key=kiosk)).json["id"])
    sql = named_sql("services.survey")
    assert [tuple(r.values()) for r in await pool.fetch(sql["acknowledged"])] == [(tapped, 1, 4, False)]
    assert await pool.fetchval(sql["acknowledged_among"], [tapped, uuid.uuid4()]) == 1
