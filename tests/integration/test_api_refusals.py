"""What programs must not send is refused (security rows 5, 7, 8, 10, 12, 25); no refusal repeats what was sent."""

import json
import uuid
from typing import Any

import pytest
from starlette.types import ASGIApp

from services.chassis.keys import Key
from services.chassis.postgres import Pool
from services.chassis.settings import Settings
from services.notifier.planned import new_token
from services.survey.api.keys import Scope
from tests.programs import RESPONSES, TAPS, TORGET, Clock, application, is_problem, new_key, send
from tests.survey_app import invite, told
from tests.tables import everything_stored, footprint

pytestmark = pytest.mark.service("survey")

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
        ("x-any", "1", b'{"score": 4, "comment": "' + b"x" * 32_768 + b'"}', 413),
        ("content-encoding", "gzip", b"\x1f\x8b\x08\x00", 422),
    ]
    for name, value, body, status in kinds:
        assert is_problem(await send(app, "POST", RESPONSES, body, key=key, headers=[(name, value)]), status), name


@pytest.mark.parametrize("escaped", [False, True])
async def test_four_byte_characters_fill_a_whole_comment(app: ASGIApp, pool: Pool, key: Key, escaped: bool) -> None:
    said = {"token": await invite(pool), "comment": "😀" * 2000}
    reply = await send(app, "POST", RESPONSES, json.dumps(said, ensure_ascii=escaped).encode(), key=key)
    assert (reply.status, reply.json["commented"]) == (201, True)


async def test_what_is_not_there_is_a_problem_document_too(app: ASGIApp, key: Key) -> None:
    for path in ("/api/", "/api/v1", "/api/v1/responses/", "/api/docs", "/api/openapi.json", "/api/v2/x"):
        assert is_problem(await send(app, "GET", path, key=key), 404), path
    reply = await send(app, "DELETE", RESPONSES)
    assert (reply.status, reply.headers["allow"]) == (405, "POST")


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
