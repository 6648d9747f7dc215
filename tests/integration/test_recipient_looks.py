"""A recipient looks at a page: it writes nothing and tells nobody's secrets (guarantee 10)."""

import re
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from structlog.testing import capture_logs

from schemas.invitation import InvitationDecided, InvitationProgress
from schemas.recipient import PersonErased
from services.chassis.persons import PersonKeys
from services.chassis.postgres import Pool, named_sql, open_look_up_pool
from services.chassis.records import Received
from services.chassis.settings import Settings
from services.notifier.planned import new_token
from services.survey.answers.handlers import LearnInvitations
from services.survey.answers.responses import token_hash
from services.survey.privacy.erasure import ErasePersons
from services.survey.recipient.http import SurveyRoutes
from tests.asgi import ask
from tests.builders import NOON, decided
from tests.survey_app import SEAL, invite, lock, post, survey
from tests.tables import footprint

pytestmark = pytest.mark.service("survey")


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


async def test_a_link_whose_invitation_comes_while_kafka_is_asked_leads_to_its_page(
    pool: Pool, settings: Settings
) -> None:
    token = new_token()
    app = survey(pool, settings, meanwhile=partial(invite, pool, token=token))
    reply = await ask(app, "GET", f"/r/{token}")
    assert reply.status == 200
    assert "<fieldset" in reply.text


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
