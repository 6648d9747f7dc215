"""Who opens the link of an invitation that the survey could not read is told to come back."""

import asyncio
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from typer.testing import CliRunner

from schemas.topics import CARDS, INVITATION_DECIDED
from services.chassis.deadletter import DeadLetter
from services.chassis.deadletter_store import read_letters
from services.chassis.message_checks import check_digest, code_of
from services.chassis.postgres import Pool, named_sql
from services.chassis.settings import Settings
from services.chassis.topic_admin import apply_topics
from services.cli import app as commands
from services.notifier.planned import new_token
from services.survey.answers.responses import token_hash
from services.survey.answers.unread_links import NoteUnreadLinks
from services.survey.recipient.http import SurveyRoutes
from tests.asgi import ask
from tests.builders import record
from tests.harness import producing
from tests.survey_app import FORM, SEAL, invite, post

pytestmark = pytest.mark.service("survey")


async def test_a_link_whose_invitation_was_put_aside_says_come_back_until_its_letter_is_replayed(
    app: SurveyRoutes, pool: Pool
) -> None:
    token, other, known = new_token(), new_token(), await invite(pool)
    note = NoteUnreadLinks(named_sql("services.survey"))
    async with pool.acquire() as connection, connection.transaction():
        for ours in (token, known):
            value = b'{"revision": 1, "token_sha256": "%s", "newer": ' % token_hash(ours).hex().encode()
            await note(connection, DeadLetter(record("invitation.decided.v1", value), "schema", "x"))
        await note(connection, DeadLetter(record("invitation.decided.v1", b"\xff"), "bad_json", "x"))
        await note(connection, DeadLetter(record("invitation.decided.v1", None), "bad_json", "x"))

    reply = await ask(app, "GET", f"/r/{token}")
    assert (reply.status, reply.headers["retry-after"]) == (503, "2")
    assert 'data-reload="' not in reply.text
    assert (await post(app, token, ("score", "4"), as_json=True)).status == 503
    assert (await ask(app, "GET", f"/r/{token}/unsubscribe")).status == 503
    assert (await ask(app, "GET", f"/r/{known}")).status == 200
    assert (await ask(app, "GET", f"/r/{other}")).status == 404
    assert (await post(app, other, ("score", "4"), as_json=True)).status == 404

    await invite(pool, token=token)
    assert (await post(app, token, ("score", "4"), as_json=True)).json == {"revision": 1}
    assert await pool.fetchval("SELECT count(*) FROM unread_link") == 0


async def test_after_fourteen_days_nobody_can_replay_a_letter_and_its_link_is_unknown(
    app: SurveyRoutes, pool: Pool
) -> None:
    first, second = new_token(), new_token()
    note = NoteUnreadLinks(named_sql("services.survey"))

    async def put_aside(token: str) -> None:
        value = b'{"token_sha256":"%s"}' % token_hash(token).hex().encode()
        async with pool.acquire() as connection:
            await note(connection, DeadLetter(record("invitation.decided.v1", value), "schema", "x"))
        assert (await ask(app, "GET", f"/r/{token}")).status == 503

    await put_aside(first)
    await pool.execute("UPDATE unread_link SET put_aside_at = now() - interval '15 days'")
    assert (await ask(app, "GET", f"/r/{first}")).status == 404
    await put_aside(second)
    assert await pool.fetchval("SELECT count(*) FROM unread_link") == 1


GRAVE = f"{INVITATION_DECIDED}.dlq"
NUMBER = "NP-1"


def unreadable(token: str) -> bytes:
    """An invitation of a schema that nobody here knows."""
    digest = check_digest(SEAL, NUMBER, code_of(token)).hex()
    return f'{{"revision": 1, "token_sha256": "{token_hash(token).hex()}", "check_digest": "{digest}"'.encode()


async def status(app: SurveyRoutes, token: str) -> int:
    return (await ask(app, "GET", f"/r/{token}")).status


async def was_sent(app: SurveyRoutes, token: str) -> bool:
    body = urlencode({"number": NUMBER, "code": code_of(token)}).encode()
    reply = await ask(app, "POST", "/sent?lang=en", headers=[("content-type", FORM)], parts=[body])
    return "Yes, we sent this message." in reply.text


async def put_aside(pool: Pool, settings: Settings, *tokens: str) -> None:
    """As the fence and the relay do: noted here, and a letter in Kafka."""
    note = NoteUnreadLinks(named_sql("services.survey"))
    async with producing(settings) as producer, pool.acquire() as connection:
        for token in tokens:
            letter = DeadLetter(record(INVITATION_DECIDED, unreadable(token)), "schema", "x")
            await note(connection, letter)
            headers = letter.headers("survey", datetime.now(UTC))
            await producer.send_and_wait(GRAVE, letter.record.value, key=b"k", headers=headers)


async def drop(before: datetime, *options: str, code: int = 0) -> str:
    words = ["dlq", "drop", INVITATION_DECIDED, "--before", before.strftime("%Y-%m-%dT%H:%M:%S"), *options]
    done = await asyncio.to_thread(CliRunner().invoke, commands, words)
    assert done.exit_code == code, done.output
    return done.output


async def test_a_link_whose_dead_letter_is_dropped_is_unknown_at_once_and_its_message_stays_ours(
    app: SurveyRoutes, pool: Pool, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KVITTERA_KAFKA_BOOTSTRAP", settings.kafka_bootstrap)
    monkeypatch.setenv("KVITTERA_POSTGRES_DSN", settings.postgres_dsn.get_secret_value())
    await apply_topics(settings, [CARDS[INVITATION_DECIDED], CARDS[GRAVE]])
    dropped, again, young, never = (new_token() for _ in range(4))
    await put_aside(pool, settings, dropped, again)
    await asyncio.sleep(1.1)  # the command takes whole seconds
    moment = datetime.now(UTC).replace(microsecond=0)
    await put_aside(pool, settings, young, again)  # replayed, and refused once more
    assert [await status(app, t) for t in (dropped, again, young, never)] == [503, 503, 503, 404]
    assert [await was_sent(app, t) for t in (dropped, young, never)] == [True, True, False]

    await drop(moment, "--dry-run")
    assert await status(app, dropped) == 503
    assert "links that cannot be used any more: 1" in await drop(moment, "--yes")
    assert [await status(app, t) for t in (dropped, again, young)] == [404, 503, 503]
    assert (await post(app, dropped, ("score", "4"), as_json=True)).status == 404
    assert [await was_sent(app, t) for t in (dropped, young, never)] == [True, True, False]
    assert {x.record.value for x in await read_letters(settings, INVITATION_DECIDED)} == {
        unreadable(young),
        unreadable(again),
    }

    await put_aside(pool, settings, dropped)  # the sender tells it anew, as wrong as before
    assert await status(app, dropped) == 503
    await invite(pool, token=dropped)
    assert await status(app, dropped) == 200


async def test_no_letter_is_dropped_while_the_survey_cannot_be_told(
    app: SurveyRoutes, pool: Pool, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KVITTERA_KAFKA_BOOTSTRAP", settings.kafka_bootstrap)
    monkeypatch.setenv("KVITTERA_POSTGRES_DSN", "postgresql://postgres@127.0.0.1:1/kvittera")
    await apply_topics(settings, [CARDS[INVITATION_DECIDED], CARDS[GRAVE]])
    token = new_token()
    await put_aside(pool, settings, token)
    await drop(datetime.now(UTC) + timedelta(hours=1), "--yes", code=1)
    assert unreadable(token) in {x.record.value for x in await read_letters(settings, INVITATION_DECIDED)}
    assert await status(app, token) == 503
