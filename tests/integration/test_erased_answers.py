"""After an erasure nothing takes an answer about the old delivery: no text message, and no app that knows its id."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from starlette.types import ASGIApp

from schemas.recipient import PersonErased
from services.chassis.keys import Key
from services.chassis.metrics import Metrics
from services.chassis.outbox import Relay
from services.chassis.persons import PersonKeys
from services.chassis.postgres import Pool
from services.chassis.records import Received
from services.chassis.settings import Settings
from services.survey.answers.handlers import Answers
from services.survey.answers.recorded import PLAIN, Circumstances, OnlyIf, Outcome
from services.survey.answers.responses import Answer, contact_of
from services.survey.api.keys import Scope
from services.survey.privacy.erasure import ErasePersons
from tests.asgi import ask
from tests.builders import NOON
from tests.programs import RESPONSES, SEAL, Clock, application, new_key, send
from tests.survey_app import invite, told
from tests.tables import footprint

pytestmark = pytest.mark.service("survey")

NUMBER = "+46701740634"
PERSON = SEAL.pseudonym(f"sms:{NUMBER}").hex()
WISH = {"consent": "contact.v1", "address": "astrid@mottagare.example"}
_WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
_ANOTHER = (
    "INSERT INTO response (response_id, revision, answered_at, changed_at)"
    " SELECT invitation_id, 1, clock_timestamp(), clock_timestamp() FROM invitation"
)
SAID = {"score": 2, "comment": "Trasig", "wants_contact": True, "contact": WISH}


@pytest.fixture
def app(pool: Pool, settings: Settings) -> ASGIApp:
    with_secret = settings.model_copy(update={"inbound_url_secret": SecretStr("secret")})
    return application(pool, with_secret, Clock())


@pytest.fixture
async def key(pool: Pool) -> Key:
    return await new_key(pool, Scope.WRITE, Scope.READ)


async def reply(app: ASGIApp, text: str, message_id: str = "sf1") -> int:
    """The person answers the text message."""
    form = f"id={message_id}&from=%2B{NUMBER[1:]}&message={text.replace(' ', '+')}".encode()
    headers = [("content-type", "application/x-www-form-urlencoded")]
    return (await ask(app, "POST", "/api/inbound/46elks?secret=secret", headers=headers, parts=[form])).status


async def erase(pool: Pool, at: datetime = NOON + timedelta(days=1), *, meanwhile: Callable[[], Any] = list) -> Any:
    """Erase; what happens meanwhile meets the erasure before its commit."""
    erased = PersonErased(person_id=PERSON, requested_at=at)
    async with pool.acquire() as connection, connection.transaction():
        await ErasePersons(PersonKeys(SEAL))(connection, [Received(erased, None, NOON)])
        begun = meanwhile()
        await asyncio.sleep(0.3 if begun else 0)
    return begun


async def kept(pool: Pool) -> dict[str, list[str]]:
    """What the tables hold, without keys that seal nothing and what is known of requests."""
    return {
        table: rows for table, rows in (await footprint(pool)).items() if table not in {"person_key", "request_once"}
    }


@pytest.mark.parametrize("answered", [True, False])
async def test_a_text_message_about_an_erased_delivery_is_nobodys(
    app: ASGIApp, pool: Pool, key: Key, answered: bool
) -> None:
    token = await invite(pool, person_id=PERSON)
    if answered:
        await send(app, "POST", RESPONSES, {"token": token, **SAID}, key=key)
    await erase(pool)
    before = await kept(pool)
    assert await reply(app, "2 fortfarande trasig") == 204
    assert await kept(pool) == before


async def test_a_text_message_after_an_erasure_goes_to_the_delivery_that_came_after_it(
    app: ASGIApp, pool: Pool
) -> None:
    await invite(pool, person_id=PERSON, delivery={"delivery_id": "D-old"}, expires_in=timedelta(days=13))
    await erase(pool)
    later = {"delivery_id": "D-new", "occurred_at": NOON + timedelta(days=2)}
    await invite(pool, person_id=PERSON, delivery=later, expires_in=timedelta(days=3))
    await reply(app, "4")
    assert [event.delivery.delivery_id for event in await told(pool)] == ["D-new"]


async def test_an_app_cannot_change_an_erased_answer_nor_leave_contact_data_beside_it(
    app: ASGIApp, pool: Pool, key: Key
) -> None:
    token = await invite(pool, person_id=PERSON)
    made = await send(app, "POST", RESPONSES, {"token": token, **SAID}, key=key)
    await erase(pool)
    before = await kept(pool)
    mine = f"{RESPONSES}/{made.json['id']}"
    shown = await send(app, "GET", mine, key=key)
    assert (shown.status, shown.json["score"], shown.json["commented"], shown.json["open"]) == (200, 2, False, False)
    for etag in ('"1"', shown.headers["etag"]):
        changed = await send(app, "PATCH", mine, SAID, key=key, headers=[("if-match", etag)])
        assert changed.status == 423
    assert await kept(pool) == before


def _answering(
    pool: Pool, settings: Settings, token: str, answer: Answer, how: Circumstances = PLAIN
) -> Callable[[], asyncio.Task[Any]]:
    metrics = Metrics()
    answers = Answers(pool, SEAL, Relay(settings, "survey", metrics), metrics, lambda: datetime.now(UTC))

    async def record() -> Any:
        return await answers.record(token, answer, how)

    return lambda: asyncio.create_task(record())


WITH_WORDS = (
    Answer(score=3, comment="Hel"),
    Answer(wants_contact=True, contact=contact_of("Astrid", "astrid@mottagare.example")),
)


@pytest.mark.parametrize("answer", WITH_WORDS)
@pytest.mark.parametrize("only_if", [None, OnlyIf(frozenset({1}))])
async def test_words_that_meet_the_erasure_are_about_nothing(
    app: ASGIApp, pool: Pool, settings: Settings, key: Key, answer: Answer, only_if: OnlyIf | None
) -> None:
    before = await invite(pool, person_id=PERSON, delivery={"delivery_id": "D-before"})
    await send(app, "POST", RESPONSES, {"token": before, **SAID}, key=key)  # the person has a key already
    token = await invite(pool, person_id=PERSON)
    if only_if is not None:
        await send(app, "POST", RESPONSES, {"token": token, "score": 2}, key=key)
    recording = await erase(pool, meanwhile=_answering(pool, settings, token, answer, Circumstances(only_if=only_if)))
    erased = await kept(pool)
    assert (await recording).outcome is Outcome.UNKNOWN
    assert await kept(pool) == erased


@pytest.mark.parametrize("answer", WITH_WORDS)
async def test_words_that_an_erasure_meets_before_their_commit_go_with_it(
    pool: Pool, settings: Settings, answer: Answer
) -> None:
    token = await invite(pool, person_id=PERSON)
    async with pool.acquire() as connection:
        held = connection.transaction()
        await held.start()
        await connection.execute(_ANOTHER)  # the answer waits for it, between its lock and its commit
        recording = _answering(pool, settings, token, answer)()
        await _waits_for_a_lock(pool, 1)
        erasing = asyncio.create_task(erase(pool))
        await _waits_for_a_lock(pool, 2)
        await held.rollback()
    assert (await recording).kept == 1
    await erasing
    assert [(m.revision, m.commented, m.wants_contact, m.erased) for m in await told(pool)][1:] == [
        (2, False, False, True)
    ]
    assert await pool.fetchval("SELECT count(*) FROM response WHERE comment_sealed IS NOT NULL OR NOT erased") == 0
    assert await pool.fetchval("SELECT count(*) FROM contact_wish") == 0


async def _waits_for_a_lock(pool: Pool, many: int) -> None:
    async with asyncio.timeout(10):
        while await pool.fetchval(_WAITING) < many:
            await asyncio.sleep(0.02)


async def test_a_score_that_meets_the_erasure_keeps_the_mark_and_promises_no_words(
    app: ASGIApp, pool: Pool, settings: Settings, key: Key
) -> None:
    token = await invite(pool, person_id=PERSON)
    await send(app, "POST", RESPONSES, {"token": token, **SAID}, key=key)
    recording: Awaitable[Any] = await erase(pool, meanwhile=_answering(pool, settings, token, Answer(score=3)))
    await recording
    assert [(m.revision, m.score, m.commented, m.wants_contact, m.erased) for m in await told(pool)] == [
        (1, 2, True, True, False),
        (2, 2, False, False, True),
        (3, 3, False, False, True),
    ]


async def test_nothing_is_taken_about_what_a_process_of_an_earlier_version_erased(
    app: ASGIApp, pool: Pool, key: Key
) -> None:
    token = await invite(pool, person_id=PERSON)
    made = await send(app, "POST", RESPONSES, {"token": token, **SAID}, key=key)
    await invite(pool, person_id=PERSON, delivery={"delivery_id": "D-silent"})
    await erase(pool)
    await pool.execute("UPDATE invitation SET expires_at = clock_timestamp() + interval '3 days'")  # it left them open
    before = await kept(pool)
    await reply(app, "2 fortfarande trasig")
    shown = await send(app, "GET", f"{RESPONSES}/{made.json['id']}", key=key)
    condition = [("if-match", shown.headers["etag"])]
    assert (await send(app, "PATCH", f"{RESPONSES}/{made.json['id']}", SAID, key=key, headers=condition)).status == 423
    assert await kept(pool) == before


async def test_the_migration_ends_the_links_of_who_was_erased_before_it_and_no_others(
    pool: Pool, repository: Path
) -> None:
    deliveries = {"D-old": NOON, "D-new": NOON + timedelta(days=2)}
    for delivery_id, at in deliveries.items():
        await invite(pool, person_id=PERSON, delivery={"delivery_id": delivery_id, "occurred_at": at})
    await invite(pool, person_id="0" * 32, delivery={"delivery_id": "D-other"})
    await erase(pool)
    await pool.execute("UPDATE invitation SET expires_at = clock_timestamp() + interval '3 days'")
    await pool.execute((repository / "services/survey/sql/048_erased_links.sql").read_text("utf-8"))
    ended = "SELECT delivery ->> 'delivery_id' FROM invitation WHERE expires_at <= clock_timestamp()"
    assert [row[0] for row in await pool.fetch(ended)] == ["D-old"]
