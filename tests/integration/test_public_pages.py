"""Unsubscribing and "did we send this?": what mail programs and doubtful people do, and what guessers learn."""

from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from urllib.parse import urlencode

import pytest

from schemas.invitation import InvitationDecided
from schemas.topics import INVITATION_DECIDED, PREFERENCE_CHANGED
from services.chassis.postgres import Pool, named_sql
from services.chassis.records import reading
from services.chassis.settings import Settings
from services.notifier.planned import new_token
from services.notifier.state import KeepState, reading_state
from services.survey.answers.handlers import LearnInvitations
from services.survey.recipient.http import SurveyRoutes
from services.survey.recipient.wording import load_wordings
from tests.asgi import Reply, ask
from tests.builders import NOON, record
from tests.sending import ScriptedChannel, dispatcher, plan, work
from tests.survey_app import FORM, invite, preferences, survey
from tests.tables import empty_pool, footprint

pytestmark = pytest.mark.service("survey")

PERSON = "5a" * 16
WORDS = load_wordings()


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"public_url": "https://svar.nordposten.example"})


@pytest.fixture
async def notifier_pool(settings: Settings) -> AsyncIterator[Pool]:
    async with empty_pool(settings, "notifier") as empty:
        yield empty


async def one_click(
    app: SurveyRoutes, token: str, kind: str = FORM, body: bytes = b"List-Unsubscribe=One-Click"
) -> Reply:
    return await ask(app, "POST", f"/r/{token}/unsubscribe", headers=[("content-type", kind)], parts=[body])


async def sent(app: SurveyRoutes, number: str, code: str, **headers: str) -> Reply:
    body = urlencode({"number": number, "code": code}).encode()
    told = [("content-type", FORM), *((n.replace("_", "-"), v) for n, v in headers.items())]
    return await ask(app, "POST", "/sent?lang=sv", headers=told, parts=[body])


async def through_the_topics(notifier: Pool, survey_pool: Pool) -> None:
    """What the notifier has told reaches the survey, and what the survey has told the notifier."""
    rows = await notifier.fetch("SELECT value FROM outbox WHERE topic = $1 ORDER BY id", INVITATION_DECIDED)
    read = reading(InvitationDecided, "survey")
    heard = [m for r in rows if (m := read(record(INVITATION_DECIDED, r["value"]))) is not None]
    async with survey_pool.acquire() as connection, connection.transaction():
        await LearnInvitations(named_sql("services.survey"))(connection, heard)
    rows = await survey_pool.fetch("SELECT value FROM outbox WHERE topic = $1 ORDER BY id", PREFERENCE_CHANGED)
    wishes = [reading_state()(record(PREFERENCE_CHANGED, r["value"])) for r in rows]
    async with notifier.acquire() as connection, connection.transaction():
        await KeepState(lambda: NOON)(connection, [w for w in wishes if w is not None])


async def test_looking_at_the_unsubscribe_page_writes_nothing(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool, person_id=PERSON)
    before = await footprint(pool)
    for method in ("GET", "HEAD"):
        reply = await ask(app, method, f"/r/{token}/unsubscribe", headers=[("sec-purpose", "prefetch")])
        assert reply.status == 200
        assert reply.headers["referrer-policy"] == "no-referrer"
    assert await footprint(pool) == before


@pytest.mark.parametrize("language", ["sv", "nb", "nn", "da", "fi", "en", "de"])
async def test_the_unsubscribe_page_asks_and_confirms_in_each_language(
    app: SurveyRoutes, pool: Pool, language: str
) -> None:
    token = await invite(pool, person_id=PERSON, language=language)
    asked = await ask(app, "GET", f"/r/{token}/unsubscribe")
    assert f'<html lang="{language}">' in asked.text
    assert str(WORDS[language]("unsubscribe")) in asked.body.decode()
    assert f'<form method="post" action="?lang={language}" class="ruled">' in asked.text
    done = await ask(app, "POST", f"/r/{token}/unsubscribe?lang={language}", headers=[("content-type", FORM)])
    assert str(WORDS[language]("unsubscribed")) in done.body.decode()
    again = await ask(app, "GET", f"/r/{token}/unsubscribe?lang={language}")
    assert again.body == done.body


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (FORM, b"List-Unsubscribe=One-Click"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\ncontent-disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--x--',
        ),
        (FORM, b""),
    ],
)
async def test_one_click_stops_all_questions_once(app: SurveyRoutes, pool: Pool, kind: str, body: bytes) -> None:
    token = await invite(pool, person_id=PERSON)
    for _ in range(3):
        assert (await one_click(app, token, kind, body)).status == 200
    [told] = await preferences(pool)
    assert (told.person_id, told.never, told.source, told.revision) == (PERSON, True, "unsubscribe", 1)


async def test_who_unsubscribes_late_is_heard(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool, person_id=PERSON, expires_in=timedelta(days=-30))
    assert (await one_click(app, token)).status == 200
    assert [t.never for t in await preferences(pool)] == [True]


async def test_an_unsubscribe_link_that_does_not_exist_looks_like_any_wrong_link(app: SurveyRoutes, pool: Pool) -> None:
    await invite(pool, person_id=PERSON)
    nobodys = await invite(pool, person_id=None)
    before = await footprint(pool)
    wrong = ["A" * 22, "x", "%00", nobodys]
    replies = [await ask(app, m, f"/r/{t}/unsubscribe", headers=[]) for t in wrong for m in ("GET", "POST")]
    replies.append(await ask(app, "GET", f"/r/{'A' * 22}"))
    assert {(r.status, r.body) for r in replies} == {(404, replies[0].body)}
    assert await footprint(pool) == before


async def test_a_link_that_is_newer_than_this_server_is_told_to_come_back(pool: Pool, settings: Settings) -> None:
    behind = survey(pool, settings, caught_up=False)
    reply = await one_click(behind, "A" * 22)
    assert (reply.status, reply.headers["retry-after"]) == (503, "2")


async def test_a_link_whose_invitation_comes_while_kafka_is_asked_unsubscribes(pool: Pool, settings: Settings) -> None:
    token = new_token()
    app = survey(pool, settings, meanwhile=partial(invite, pool, token=token, person_id=PERSON))
    assert (await one_click(app, token)).status == 200
    assert await pool.fetchval("SELECT never FROM preference")


async def test_after_one_click_in_the_mail_the_notifier_asks_no_more(
    app: SurveyRoutes, pool: Pool, notifier_pool: Pool, settings: Settings
) -> None:
    await plan(notifier_pool)
    channel = ScriptedChannel()
    await work(dispatcher(notifier_pool, settings, channel))
    [mail] = channel.calls
    assert mail.unsubscribe == f"{mail.link}/unsubscribe"
    await through_the_topics(notifier_pool, pool)
    await plan(notifier_pool, 2)
    assert (await one_click(app, mail.link.rpartition("/")[2])).status == 200
    await through_the_topics(notifier_pool, pool)
    await plan(notifier_pool, 3)
    assert await notifier_pool.fetchval("SELECT reason FROM invitation WHERE delivery_id = 'D-1'") == "opted_out"
    assert await notifier_pool.fetchval("SELECT reason FROM decision WHERE delivery_id = 'D-2'") == "opted_out"


async def test_a_person_learns_that_a_message_is_ours_from_its_number_and_the_end_of_its_link(
    app: SurveyRoutes, pool: Pool, notifier_pool: Pool, settings: Settings
) -> None:
    await plan(notifier_pool)
    channel = ScriptedChannel()
    await work(dispatcher(notifier_pool, settings, channel))
    await through_the_topics(notifier_pool, pool)
    link = channel.calls[0].link
    before = await footprint(pool)
    for number, code in (("D-0", link[-6:]), (" d 0", link), ("D0", f"{link}?s=4")):
        reply = await sent(app, number, code)
        assert reply.status == 200
        assert str(WORDS["sv"]("sent.yes")) in reply.text
        assert "leder till svar.nordposten.example " in reply.text
    assert "Fjällbod" not in reply.text
    assert "D-0" not in reply.text
    assert await footprint(pool) == before


async def test_every_wrong_pair_gets_the_same_answer(app: SurveyRoutes, pool: Pool) -> None:
    await invite(pool, person_id=PERSON, check_digest="5c" * 16)
    pairs = [("D-1", "Yc6Qk7"), ("D-404", "Yc6Qk7"), ("x" * 200, "x"), ("D-1", "<script>"), ("😀", "\0")]
    replies = [await sent(app, number, code) for number, code in pairs]
    assert {(r.status, r.body, tuple(r.headers.items())) for r in replies} == {
        (200, replies[0].body, tuple(replies[0].headers.items()))
    }
    assert str(WORDS["sv"]("sent.no")) in replies[0].text
    for number, code in (("", "Yc6Qk7"), ("D-1", ""), ("D-1", "x" * 201)):
        assert (await sent(app, number, code)).status == 422


async def test_who_guesses_is_not_answered_after_ten_wrong_pairs(app: SurveyRoutes) -> None:
    replies = [await sent(app, "D-1", f"guess{n}") for n in range(12)]
    assert [r.status for r in replies] == [200] * 10 + [429] * 2
    assert replies[-1].headers["retry-after"] == "60"
    assert str(WORDS["sv"]("sent.often")) in replies[-1].text


@pytest.mark.parametrize("language", ["sv", "nb", "nn", "da", "fi", "en", "de"])
async def test_the_form_stands_in_each_language(app: SurveyRoutes, language: str) -> None:
    reply = await ask(app, "GET", "/sent", headers=[("accept-language", language)])
    assert (reply.status, f'<html lang="{language}">' in reply.text) == (200, True)
    assert str(WORDS[language]("sent.code")) in reply.body.decode()


async def test_whether_a_message_is_ours_is_not_denied_while_invitations_are_read(
    pool: Pool, settings: Settings
) -> None:
    behind = survey(pool, settings, caught_up=False)
    replies = [await sent(behind, "D-1", f"guess{n}") for n in range(12)]
    assert {(r.status, r.headers["retry-after"]) for r in replies} == {(503, "60")}
    assert str(WORDS["sv"]("sent.no")) not in replies[0].text
