"""Replies by text message: signed, once, and with the effect that the person meant (security rows 20 and 21)."""

import base64
import json
import os
import uuid
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from pydantic import SecretStr
from standardwebhooks.webhooks import Webhook
from starlette.types import ASGIApp

from schemas.recipient import PreferenceChanged
from services.chassis.failures import MustStop
from services.chassis.metrics import Metrics
from services.chassis.outbox import Relay
from services.chassis.postgres import Pool
from services.chassis.settings import Settings
from services.notifier.planned import new_token
from services.survey.answers.handlers import Answers
from services.survey.answers.responses import Answer
from services.survey.api.signatures import Signatures
from tests.asgi import Reply, ask
from tests.builders import NOON
from tests.programs import SEAL, Clock, application
from tests.survey_app import invite, told
from tests.tables import everything_stored, footprint

pytestmark = pytest.mark.service("survey")

NUMBER = "+46701740634"
PERSON = SEAL.pseudonym(f"sms:{NUMBER}").hex()
OLD, NEW, OTHER = (f"whsec_{base64.b64encode(os.urandom(24)).decode()}" for _ in range(3))
SMS = "/api/inbound/sms"


@pytest.fixture
def app(pool: Pool, settings: Settings) -> ASGIApp:
    with_secrets = settings.model_copy(update={"inbound_secrets": SecretStr(f"{NEW}, {OLD}")})
    return application(pool, with_secrets, Clock())


def message(text: str, **changed: Any) -> bytes:
    plain = {"from": NUMBER, "to": "+46701740690", "text": text, "received_at": "2026-10-13T12:00:00Z"}
    return json.dumps(plain | changed).encode()


def signed(
    body: bytes, webhook_id: str = "msg_1", *, secret: str = NEW, age: timedelta = timedelta(0)
) -> list[tuple[str, str]]:
    moment = datetime.now(UTC) - age
    return [
        ("content-type", "application/json"),
        ("webhook-id", webhook_id),
        ("webhook-timestamp", str(int(moment.timestamp()))),
        ("webhook-signature", Webhook(secret).sign(webhook_id, moment, body.decode())),
    ]


async def hand_over(app: ASGIApp, text: str, webhook_id: str = "msg_1", **changed: Any) -> Reply:
    body = message(text, **changed)
    return await ask(app, "POST", SMS, headers=signed(body, webhook_id), parts=[body])


async def preferences(pool: Pool) -> list[PreferenceChanged]:
    rows = await pool.fetch("SELECT value FROM outbox WHERE topic = 'preference.changed.v1' ORDER BY id")
    return [PreferenceChanged.model_validate_json(r["value"]) for r in rows]


async def test_a_digit_with_words_answers_the_latest_open_invitation(app: ASGIApp, pool: Pool) -> None:
    await invite(pool, person_id=PERSON, delivery={"delivery_id": "D-old"}, expires_in=timedelta(days=3))
    await invite(pool, person_id=PERSON, delivery={"delivery_id": "D-new"}, expires_in=timedelta(days=13))
    await invite(pool, person_id="0" * 32, delivery={"delivery_id": "D-other"})
    reply = await hand_over(app, "4 bra service", **{"from": "46701740634"})
    assert (reply.status, reply.json) == (202, {"accepted": True})
    [event] = await told(pool)
    assert (event.delivery.delivery_id, event.score, event.commented, event.channel) == ("D-new", 4, True, "sms")
    await hand_over(app, "Betyg: 5", "msg_2")
    assert [(e.revision, e.score) for e in await told(pool)] == [(1, 4), (2, 5)]


async def asked(pool: Pool, delivery_id: str, expires_in: timedelta, **changed: Any) -> None:
    """Let the survey learn of an invitation and, by a later revision, that its message left."""
    token, invitation_id = changed.pop("token", None) or new_token(), str(uuid.uuid4())
    for outcome in ("scheduled", changed.pop("outcome", "asked")):
        facts = {"delivery_id": delivery_id}
        again = {"token": token, "invitation_id": invitation_id, "outcome": outcome, "channel": "sms", **changed}
        await invite(pool, person_id=PERSON, expires_in=expires_in, delivery=facts, **again)


@pytest.mark.parametrize("outcome", ["asked", "in_doubt"])
async def test_a_digit_answers_what_was_asked_last_not_what_is_only_planned(
    app: ASGIApp, pool: Pool, outcome: str
) -> None:
    await asked(pool, "D-before", timedelta(days=3), decided_at=NOON - timedelta(days=9))
    await asked(pool, "D-asked", timedelta(days=2), outcome=outcome)
    await invite(pool, person_id=PERSON, channel="sms", delivery={"delivery_id": "D-planned"})
    await hand_over(app, "4")
    assert [event.delivery.delivery_id for event in await told(pool)] == ["D-asked"]


async def answer(pool: Pool, settings: Settings, token: str, score: int) -> None:
    """Let the person answer on the page."""
    metrics = Metrics()
    answers = Answers(pool, SEAL, Relay(settings, "survey", metrics), metrics, lambda: datetime.now(UTC))
    assert (await answers.record(token, Answer(score=score))).kept == 1


async def reminded(pool: Pool, delivery_id: str, at: datetime) -> None:
    """Let the survey learn that a message about a known delivery left at this moment, however late it is told."""
    named = "SELECT token_sha256, invitation_id::text, expires_at FROM invitation WHERE delivery ->> 'delivery_id' = $1"
    row = await pool.fetchrow(named, delivery_id)
    assert row is not None
    same: dict[str, Any] = {
        "token_sha256": row["token_sha256"].hex(),
        "invitation_id": row[1],
        "expires_at": row["expires_at"],
    }
    told_late: dict[str, Any] = {
        "revision": 3,
        "outcome": "asked",
        "channel": "sms",
        "decided_at": NOON + timedelta(days=2),
    }
    facts = {"delivery_id": delivery_id}
    await invite(pool, person_id=PERSON, delivery=facts, sent_at=at, **told_late, **same)


async def test_a_digit_answers_the_delivery_whose_reminder_came_last(
    app: ASGIApp, pool: Pool, settings: Settings
) -> None:
    await asked(pool, "D-A", timedelta(days=3), decided_at=NOON, sent_at=NOON)
    page = new_token()
    sent = {"decided_at": NOON + timedelta(hours=1), "sent_at": NOON + timedelta(hours=1)}
    await asked(pool, "D-B", timedelta(days=4), token=page, **sent)
    await answer(pool, settings, page, 5)
    await reminded(pool, "D-A", NOON + timedelta(hours=2))
    await hand_over(app, "2")
    assert [(e.delivery.delivery_id, e.score) for e in await told(pool)] == [("D-B", 5), ("D-A", 2)]


async def test_a_doubt_that_was_settled_late_does_not_come_after_what_was_sent_meanwhile(
    app: ASGIApp, pool: Pool
) -> None:
    await asked(pool, "D-doubt", timedelta(days=3), outcome="in_doubt", decided_at=NOON, sent_at=NOON)
    await asked(pool, "D-last", timedelta(days=3), decided_at=NOON, sent_at=NOON + timedelta(minutes=5))
    await reminded(pool, "D-doubt", NOON)  # told two days later
    await hand_over(app, "4")
    assert [event.delivery.delivery_id for event in await told(pool)] == ["D-last"]


async def test_a_reply_to_a_link_that_has_ended_does_not_change_what_was_answered_on_another_page(
    app: ASGIApp, pool: Pool, settings: Settings
) -> None:
    page = new_token()
    await asked(pool, "D-answered", timedelta(days=3), token=page, decided_at=NOON)
    await answer(pool, settings, page, 5)
    await asked(pool, "D-ended", timedelta(seconds=-1), decided_at=NOON + timedelta(hours=1))
    await hand_over(app, "2")
    assert [(e.delivery.delivery_id, e.score) for e in await told(pool)] == [("D-answered", 5)]
    await asked(pool, "D-silent", timedelta(days=3), decided_at=NOON - timedelta(days=1))
    await hand_over(app, "2", "msg_2")
    assert [(e.delivery.delivery_id, e.score) for e in await told(pool)][1:] == [("D-silent", 2)]


async def test_a_reply_to_an_invitation_that_is_not_known_yet_is_asked_for_again(
    pool: Pool, settings: Settings
) -> None:
    with_secrets = settings.model_copy(update={"inbound_secrets": SecretStr(NEW)})
    behind = application(pool, with_secrets, Clock(), caught_up=False)
    reply = await hand_over(behind, "4")
    assert (reply.status, reply.headers["retry-after"]) == (503, "2")
    await invite(pool, person_id=PERSON)
    arrived = application(pool, with_secrets, Clock())
    assert (await hand_over(arrived, "4")).status == 202
    assert [event.score for event in await told(pool)] == [4]


async def test_a_reply_is_not_given_to_an_older_request_while_a_newer_one_may_be_unread(
    pool: Pool, settings: Settings
) -> None:
    await asked(pool, "D-before", timedelta(days=3), decided_at=NOON - timedelta(days=9))
    with_secrets = settings.model_copy(update={"inbound_secrets": SecretStr(NEW)})
    behind, arrived = (application(pool, with_secrets, Clock(), caught_up=up) for up in (False, True))
    before = await footprint(pool)
    assert (await hand_over(behind, "1")).status == 503
    assert await footprint(pool) == before
    await asked(pool, "D-asked", timedelta(days=2))
    assert (await hand_over(arrived, "1")).status == 202
    assert [event.delivery.delivery_id for event in await told(pool)] == ["D-asked"]
    # What became part of an answer before needs no wait.
    await pool.execute("DELETE FROM request_once")
    assert (await hand_over(behind, "1")).status == 202
    assert len(await told(pool)) == 1


async def test_a_reply_is_kept_while_kafka_is_away_as_nothing_newer_leaves_then(pool: Pool, settings: Settings) -> None:
    with_secrets = settings.model_copy(update={"inbound_secrets": SecretStr(NEW)})
    cut_off = application(pool, with_secrets, Clock(), caught_up=False, cut_off=True)
    assert (await hand_over(cut_off, "4")).status == 503
    await asked(pool, "D-asked", timedelta(days=3))
    assert (await hand_over(cut_off, "4")).status == 202
    assert [event.score for event in await told(pool)] == [4]


async def test_a_text_of_ten_thousand_characters_gets_through_in_any_script(app: ASGIApp, pool: Pool) -> None:
    assert (await hand_over(app, "📦" * 10_000)).status == 202
    assert (await hand_over(app, "STOPP", "msg_2", reference="x" * 1024 * 1024)).status == 413
    assert await preferences(pool) == []


async def test_a_reply_waits_for_the_invitation_that_is_on_its_way(pool: Pool, settings: Settings) -> None:
    await asked(pool, "D-before", timedelta(days=3), decided_at=NOON - timedelta(days=9))
    with_secrets = settings.model_copy(update={"inbound_secrets": SecretStr(NEW)})
    arriving = application(pool, with_secrets, Clock(), meanwhile=partial(asked, pool, "D-asked", timedelta(days=2)))
    assert (await hand_over(arriving, "4")).status == 202
    assert [event.delivery.delivery_id for event in await told(pool)] == ["D-asked"]


async def test_other_words_are_a_comment(app: ASGIApp, pool: Pool) -> None:
    await invite(pool, person_id=PERSON)
    await hand_over(app, "Paketet låg i regnet")
    [event] = await told(pool)
    assert (event.score, event.commented) == (None, True)


async def test_stop_holds_for_ever_and_is_told_once(app: ASGIApp, pool: Pool) -> None:
    await hand_over(app, "STOPP!")  # no invitation is needed for it
    await hand_over(app, "stop alt", "msg_2")
    [change] = await preferences(pool)
    assert (change.person_id, change.never, change.source, change.revision) == (PERSON, True, "reply", 1)
    assert await pool.fetchval("SELECT never FROM preference WHERE person_id = $1", PERSON)
    assert await told(pool) == []


async def test_a_stop_keeps_what_was_preferred_before(app: ASGIApp, pool: Pool) -> None:
    await pool.execute(
        "INSERT INTO preference VALUES ($1, 3, false, 4, 'sms', clock_timestamp() - interval '1 day')", PERSON
    )
    await hand_over(app, "STOP")
    [change] = await preferences(pool)
    assert (change.revision, change.never, change.most_per_year, change.only_channel) == (4, True, 4, "sms")


async def test_a_stop_is_told_as_later_than_a_wish_that_a_faster_clock_dated(app: ASGIApp, pool: Pool) -> None:
    wish = await pool.fetchval(
        "INSERT INTO preference VALUES ($1, 1, false, 4, NULL, clock_timestamp() + interval '1 minute')"
        " RETURNING changed_at",
        PERSON,
    )
    await hand_over(app, "STOP")
    [change] = await preferences(pool)
    assert (change.never, change.changed_at) == (True, wish + timedelta(microseconds=1))


async def test_the_reply_does_not_tell_whether_the_sender_is_known(app: ASGIApp, pool: Pool) -> None:
    await invite(pool, person_id=PERSON)
    await invite(pool, person_id=SEAL.pseudonym("sms:+46701740650").hex(), expires_in=timedelta(seconds=-1))
    senders = [NUMBER, "+46701740650", "+46701740699", "0701740634", "Nordposten"]
    replies = [await hand_over(app, "4", f"msg_{n}", **{"from": s}) for n, s in enumerate(senders)]
    assert {(r.status, r.body, tuple(r.headers.items())) for r in replies} == {
        (202, replies[0].body, tuple(replies[0].headers.items()))
    }
    assert len(await told(pool)) == 1


async def test_a_message_that_is_handed_over_again_has_its_effect_once(app: ASGIApp, pool: Pool) -> None:
    await invite(pool, person_id=PERSON)
    await hand_over(app, "2 för sent", "msg_1")
    await hand_over(app, "5", "msg_2")
    assert (await hand_over(app, "2 för sent", "msg_1")).status == 202
    assert (await hand_over(app, "1", "msg_1")).status == 422  # the same id for another message
    assert [e.score for e in await told(pool)] == [2, 5]


async def test_only_a_fresh_signature_by_a_known_secret_has_an_effect(app: ASGIApp, pool: Pool) -> None:
    await invite(pool, person_id=PERSON)
    before = await footprint(pool)
    body = message("5")
    right = dict(signed(body))
    wrong: list[dict[str, str]] = [
        {},
        dict(signed(body, secret=OTHER)),
        dict(signed(body, age=timedelta(minutes=5, seconds=2))),
        dict(signed(body, age=-timedelta(minutes=5, seconds=5))),
        dict(signed(message("1"))),
        right | {"webhook-id": "msg_2"},
        right | {"webhook-timestamp": str(int(right["webhook-timestamp"]) + 1)},
        *(right | {"webhook-timestamp": t} for t in ("", "x", "nan", "1e400", "-1")),
        *(right | {"webhook-signature": s} for s in ("", "v1", "v1,", "v1,å", "v1,a", "v2,AAAA", ",", "v1a,AAAA x,y")),
        {name: value for name, value in right.items() if name != "webhook-id"},
    ]
    for headers in wrong:
        sent = {"content-type": "application/json"} | headers
        reply = await ask(app, "POST", SMS, headers=list(sent.items()), parts=[body])
        assert (reply.status, reply.headers["content-type"]) == (401, "application/problem+json"), headers
    broken = body + b"\xff"
    assert (await ask(app, "POST", SMS, headers=list(right.items()), parts=[broken])).status == 401
    assert await footprint(pool) == before


async def test_while_secrets_change_both_are_good(app: ASGIApp, pool: Pool) -> None:
    await invite(pool, person_id=PERSON)
    for n, secret in enumerate((OLD, NEW)):
        body = message(str(n + 3))
        reply = await ask(app, "POST", SMS, headers=signed(body, f"msg_{n}", secret=secret), parts=[body])
        assert reply.status == 202
    both = signed(message("5"), "msg_5", secret=OTHER)
    both[-1] = (both[-1][0], f"{both[-1][1]} {signed(message('5'), 'msg_5', secret=NEW)[-1][1]}")
    assert (await ask(app, "POST", SMS, headers=both, parts=[message("5")])).status == 202
    assert [e.score for e in await told(pool)] == [3, 4, 5]


async def test_without_secrets_nothing_is_taken(pool: Pool, settings: Settings) -> None:
    closed = application(pool, settings, Clock())
    assert (await hand_over(closed, "4")).status == 401
    with pytest.raises(MustStop, match="KVITTERA_INBOUND_SECRETS"):
        Signatures.from_setting(SecretStr("whsec_ä"))
    with pytest.raises(MustStop, match="KVITTERA_INBOUND_SECRETS"):
        Signatures.from_setting(SecretStr("whsec_"))


async def test_a_signed_body_that_breaks_the_rules_is_refused(app: ASGIApp, pool: Pool) -> None:
    before = await footprint(pool)
    for n, changed in enumerate(
        (
            {"score": 5},
            {"from": None},
            {"from": 46701740634},
            {"text": ["4"]},
            {"received_at": "yesterday"},
            {"received_at": 1},
        )
    ):
        body = json.dumps(json.loads(message("4")) | changed).encode()
        reply = await ask(app, "POST", SMS, headers=signed(body, f"msg_{n}"), parts=[body])
        assert (reply.status, reply.json["status"]) == (422, 422), changed
    assert await footprint(pool) == before


async def test_no_number_and_no_text_is_stored_in_clear(app: ASGIApp, pool: Pool) -> None:
    await invite(pool, person_id=PERSON)
    await hand_over(app, "3 kanariefågel", reference="gateway-7")
    kept = await everything_stored(pool)
    assert "kanariefågel" not in kept
    assert "701740634" not in kept
