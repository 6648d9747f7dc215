"""Who opens the link of an invitation that the survey could not read is told to come back."""

import pytest

from services.chassis.deadletter import DeadLetter
from services.chassis.postgres import Pool, named_sql
from services.notifier.planned import new_token
from services.survey.answers.responses import token_hash
from services.survey.answers.unread_links import NoteUnreadLinks
from services.survey.recipient.http import SurveyRoutes
from tests.asgi import ask
from tests.builders import record
from tests.survey_app import invite, post

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
