"""Answers are about the facts as upstream corrected them before the message left."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas.invitation import InvitationDecided
from services.chassis.postgres import Pool, named_sql
from services.chassis.records import Received
from services.notifier.planned import new_token
from services.survey.answers.handlers import LearnInvitations
from services.survey.answers.responses import token_hash
from services.survey.recipient.http import SurveyRoutes
from tests.asgi import ask
from tests.builders import NOON, decided, facts
from tests.survey_app import post, told

pytestmark = pytest.mark.service("survey")


def invitation(
    token: str, revision: int, outcome: str = "scheduled", *, delivery_id: str = "D-1", **corrected: Any
) -> InvitationDecided:
    return decided(
        revision=revision,
        outcome=outcome,
        invitation_id=str(uuid.uuid5(uuid.NAMESPACE_OID, token)),
        token_sha256=token_hash(token).hex(),
        expires_at=datetime.now(UTC) + timedelta(days=14),
        delivery={"delivery_id": delivery_id},
        corrected=facts(delivery_id=delivery_id, **corrected) if corrected else None,
    )


async def learn(pool: Pool, *messages: InvitationDecided) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await LearnInvitations(named_sql("services.survey"))(connection, [Received(m, None, NOON) for m in messages])


@pytest.mark.parametrize("together", [True, False])
async def test_an_answer_and_its_questions_are_about_the_corrected_facts(
    app: SurveyRoutes, pool: Pool, together: bool
) -> None:
    token, other = new_token(), new_token()
    heard = [
        invitation(token, 1),
        invitation(other, 1, delivery_id="D-2"),
        invitation(token, 2, terminal="Segeltorp"),
        invitation(token, 3, terminal="Jordbro", touchpoint="locker"),
        invitation(token, 4, "asked", terminal="Jordbro", touchpoint="locker"),
    ]
    for batch in [heard] if together else [[m] for m in heard]:
        await learn(pool, *batch)
    rows = await pool.fetch("SELECT survey FROM invitation ORDER BY survey")
    assert [r["survey"] for r in rows] == ["home.v1", "locker.v1"]
    pages = [(await ask(app, "GET", f"/r/{link}")).text for link in (token, other)]
    assert ["skåp" in page for page in pages] == [True, False]
    for link in (token, other):
        assert (await post(app, link, ("score", "4"))).status == 303
    answers = await told(pool)
    assert [m.known.terminal for m in answers] == ["Jordbro", "Årsta"]
    assert [m.delivery.terminal for m in answers] == ["Årsta", "Årsta"]


async def test_what_was_answered_keeps_the_facts_that_it_was_answered_with(app: SurveyRoutes, pool: Pool) -> None:
    token = new_token()
    await learn(pool, invitation(token, 1))
    await post(app, token, ("score", "4"))
    await learn(pool, invitation(token, 2, terminal="Segeltorp", touchpoint="locker"))
    await post(app, token, ("score", "5"))
    assert [m.known.terminal for m in await told(pool)] == ["Årsta", "Årsta"]
    assert await pool.fetchval("SELECT survey FROM invitation") == "home.v1"
