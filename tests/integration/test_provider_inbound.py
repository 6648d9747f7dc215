"""Replies straight from 46elks, Twilio and WhatsApp: proved, once, with the same effects as from any gateway."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from pydantic import SecretStr
from starlette.types import ASGIApp

from schemas.recipient import PreferenceChanged
from services.chassis import provider_signatures
from services.chassis.postgres import Pool
from services.chassis.settings import Settings
from tests.asgi import Reply, ask
from tests.programs import SEAL, Clock, application
from tests.survey_app import invite, told
from tests.tables import footprint

pytestmark = pytest.mark.service("survey")

NUMBER = "+46701740634"
PERSON = SEAL.pseudonym(f"sms:{NUMBER}").hex()
ELKS = "/api/inbound/46elks?secret=secret-in-the-address"
TWILIO = "/api/inbound/twilio"
WHATSAPP = "/api/inbound/whatsapp"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(
        update={
            "inbound_url_secret": SecretStr("secret-in-the-address"),
            "inbound_twilio_token": SecretStr("token"),
            "inbound_whatsapp_secret": SecretStr("app-secret"),
            "inbound_country": "SE",
            "public_url": "https://svar.nordposten.example/",
        }
    )


@pytest.fixture
def app(pool: Pool, settings: Settings) -> ASGIApp:
    return application(pool, settings, Clock())


async def form(app: ASGIApp, path: str, fields: dict[str, str], **headers: str) -> Reply:
    told = [
        ("content-type", "application/x-www-form-urlencoded"),
        *((n.replace("_", "-"), v) for n, v in headers.items()),
    ]
    return await ask(app, "POST", path, headers=told, parts=[urlencode(fields).encode()])


async def from_46elks(
    app: ASGIApp, text: str, message_id: str = "sf1", path: str = ELKS, sender: str = NUMBER
) -> Reply:
    told = {"direction": "incoming", "id": message_id, "from": sender, "to": "+46701740690", "message": text}
    return await form(app, path, told | {"created": "2026-10-13T12:00:00.741000"})


async def from_twilio(app: ASGIApp, text: str, token: str = "token") -> Reply:
    fields = {"MessageSid": "SM1", "From": NUMBER, "To": "+46701740690", "Body": text, "AccountSid": "AC0"}
    url = "https://svar.nordposten.example/api/inbound/twilio"
    return await form(app, TWILIO, fields, x_twilio_signature=provider_signatures.twilio(token, url, fields))


async def from_whatsapp(app: ASGIApp, value: Any, secret: str = "app-secret") -> Reply:
    told = {
        "object": "whatsapp_business_account",
        "entry": [{"id": "0", "changes": [{"field": "messages", "value": value}]}],
    }
    body = json.dumps(told).encode()
    headers = [("content-type", "application/json"), ("x-hub-signature-256", provider_signatures.meta(secret, body))]
    return await ask(app, "POST", WHATSAPP, headers=headers, parts=[body])


def text(body: str, message_id: str = "wamid.1") -> dict[str, Any]:
    return {"from": NUMBER[1:], "id": message_id, "timestamp": "1791892800", "type": "text", "text": {"body": body}}


async def scores(pool: Pool) -> list[tuple[int | None, bool, str | None]]:
    return [(m.score, m.commented, m.channel) for m in await told(pool)]


async def stopped(pool: Pool) -> list[str]:
    rows = await pool.fetch("SELECT value FROM outbox WHERE topic = 'preference.changed.v1' ORDER BY id")
    return [m.person_id for r in rows if (m := PreferenceChanged.model_validate_json(r["value"])).never]


async def test_46elks_hands_over_answers_and_stops_once_and_nothing_is_sent_back(app: ASGIApp, pool: Pool) -> None:
    await invite(pool, person_id=PERSON)
    for _ in range(2):
        reply = await from_46elks(app, "4 bra service")
        assert (reply.status, reply.body) == (204, b"")
    await from_46elks(app, "STOPP", "sf2", sender="070-174 06 34")
    assert await scores(pool) == [(4, True, "sms")]
    assert await stopped(pool) == [PERSON]


async def test_twilio_hands_over_answers_by_signature(app: ASGIApp, pool: Pool) -> None:
    await invite(pool, person_id=PERSON)
    assert [(await from_twilio(app, "5")).status for _ in range(2)] == [204, 204]
    assert await scores(pool) == [(5, False, "sms")]


async def test_whatsapp_hands_over_several_messages_and_reports_of_our_own_are_left_out(
    app: ASGIApp, pool: Pool
) -> None:
    await invite(pool, person_id=PERSON)
    button = {**text("", "wamid.3"), "type": "button", "button": {"text": "Sluta", "payload": "stop"}}
    image = {**text("", "wamid.4"), "type": "image", "image": {"id": "1"}}
    statuses = [{"id": "wamid.9", "status": "delivered", "recipient_id": NUMBER[1:]}]
    messages = [text("2"), text("Betyg: 3", "wamid.2"), image, button, text("\ud800", "wamid.5")]
    for _ in range(2):
        assert (await from_whatsapp(app, {"messages": messages})).status == 200
    assert (await from_whatsapp(app, {"statuses": statuses})).status == 200
    assert await scores(pool) == [(2, False, "sms"), (3, False, "sms")]
    assert await stopped(pool) == [PERSON]


async def test_a_batch_with_hundreds_of_reports_of_our_own_is_heard(app: ASGIApp, pool: Pool) -> None:
    delivered = {"status": "delivered", "timestamp": "1791892800", "recipient_id": NUMBER[1:], "conversation": {}}
    statuses = [{"id": f"wamid.{n:050}", **delivered} for n in range(900)]
    assert (await from_whatsapp(app, {"statuses": statuses, "messages": [text("STOPP")]})).status == 200
    assert await stopped(pool) == [PERSON]


async def test_what_is_over_a_mebibyte_is_refused_and_without_a_secret_nothing_is_read(
    app: ASGIApp, pool: Pool, shared_settings: Settings
) -> None:
    closed = application(pool, shared_settings, Clock())
    for path, kind in ((TWILIO, "application/x-www-form-urlencoded"), (WHATSAPP, "application/json")):
        headers = [("content-type", kind)]
        assert (await ask(app, "POST", path, headers=headers, parts=[b" " * 1024 * 1024, b" "])).status == 413
        assert (await ask(closed, "POST", path, headers=headers, parts=[])).status == 401


async def test_a_message_that_breaks_a_rule_keeps_nobody_else_of_its_batch_from_being_heard(
    app: ASGIApp, pool: Pool
) -> None:
    await invite(pool, person_id=PERSON)
    await from_whatsapp(app, {"messages": [text("2", "wamid.1")]})
    broken = [{"id": "wamid.0"}, text("3", "wamid 2"), text("x" * 10_001, "wamid.3"), "STOP", text("", "")]
    assert (await from_whatsapp(app, {"messages": [*broken, text("4", "wamid.4")]})).status == 200
    counted = (await ask(app, "GET", "/metrics")).text
    assert 'kvittera_inbound_total{result="unreadable"} 5.0' in counted
    # The id of the first came before, with another text.
    assert (await from_whatsapp(app, {"messages": [text("1", "wamid.1"), text("STOPP", "wamid.5")]})).status == 422
    assert await scores(pool) == [(2, False, "sms"), (4, False, "sms")]
    assert await stopped(pool) == [PERSON]


async def test_who_proves_nothing_has_no_effect(pool: Pool, app: ASGIApp, shared_settings: Settings) -> None:
    await invite(pool, person_id=PERSON)
    before = await footprint(pool)
    closed = application(pool, shared_settings, Clock())
    replies = [
        await from_46elks(app, "STOP", path="/api/inbound/46elks"),
        await from_46elks(app, "STOP", path="/api/inbound/46elks?secret=another"),
        await from_twilio(app, "STOP", "another"),
        await form(app, TWILIO, {"MessageSid": "SM1", "From": NUMBER, "Body": "STOP"}),
        await from_whatsapp(app, {"messages": [text("STOP")]}, "another"),
        await from_46elks(closed, "STOP", path="/api/inbound/46elks?secret="),
        await from_twilio(closed, "STOP", ""),
        await from_whatsapp(closed, {"messages": [text("STOP")]}, ""),
        await ask(app, "GET", f"{WHATSAPP}?hub.mode=subscribe&hub.verify_token=another&hub.challenge=7"),
        await ask(closed, "GET", f"{WHATSAPP}?hub.mode=subscribe&hub.verify_token=&hub.challenge=7"),
    ]
    assert [r.status for r in replies] == [401] * 10
    assert await footprint(pool) == before


async def test_meta_is_told_that_the_address_is_ours(app: ASGIApp) -> None:
    asked = f"{WHATSAPP}?hub.mode=subscribe&hub.verify_token=secret-in-the-address&hub.challenge=1158201444"
    reply = await ask(app, "GET", asked)
    assert (reply.status, reply.body) == (200, b"1158201444")
    assert reply.headers["content-type"].startswith("text/plain")


async def test_what_is_proved_and_is_no_message_is_refused(app: ASGIApp, pool: Pool) -> None:
    before = await footprint(pool)
    replies = [
        await form(app, ELKS, {"from": NUMBER, "message": "4"}),
        await from_46elks(app, "4", "sf 1"),
        await from_46elks(app, "4", sender=""),
        await from_46elks(app, "4", sender="4" * 41),
        await from_whatsapp(app, []),
        await from_whatsapp(app, {"messages": 1}),
    ]
    assert [r.status for r in replies] == [422] * 6
    assert await footprint(pool) == before


async def test_a_message_of_a_provider_undoes_nothing_when_its_reply_is_forgotten(app: ASGIApp, pool: Pool) -> None:
    await invite(pool, person_id=PERSON)
    for said, message_id in (("2", "sf1"), ("5", "sf2")):
        await from_46elks(app, said, message_id)
    await pool.execute("DELETE FROM request_once")
    assert (await from_46elks(app, "2", "sf1")).status == 204
    assert [e.score for e in await told(pool)] == [2, 5]


async def requested(pool: Pool, delivery_id: str) -> None:
    await invite(pool, person_id=PERSON, delivery={"delivery_id": delivery_id})


@pytest.mark.parametrize("kafka_away", [True, False])
async def test_an_answer_that_twilio_does_not_send_again_is_kept_for_the_last_request_that_is_known(
    pool: Pool, settings: Settings, kafka_away: bool
) -> None:
    behind = application(pool, settings, Clock(), caught_up=False, cut_off=kafka_away)
    assert (await from_twilio(behind, "4")).status == 503
    await requested(pool, "D-known")
    assert (await from_twilio(behind, "4")).status == 204
    assert [(e.delivery.delivery_id, e.score) for e in await told(pool)] == [("D-known", 4)]


async def test_an_answer_that_twilio_does_not_send_again_waits_for_the_newest_request(
    pool: Pool, settings: Settings
) -> None:
    await requested(pool, "D-before")
    looks = 0

    async def arrives_at_the_third_look() -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            await requested(pool, "D-newest")

    behind = application(pool, settings, Clock(), caught_up=False, meanwhile=arrives_at_the_third_look, patience=1)
    assert (await from_twilio(behind, "4")).status == 204
    assert [event.delivery.delivery_id for event in await told(pool)] == ["D-newest"]


async def test_an_answer_that_46elks_and_meta_send_again_is_not_given_to_an_older_request(
    pool: Pool, settings: Settings
) -> None:
    await requested(pool, "D-before")
    behind = application(pool, settings, Clock(), caught_up=False)
    refused = [await from_46elks(behind, "4"), await from_whatsapp(behind, {"messages": [text("4")]})]
    assert [r.status for r in refused] == [503, 503]
    assert await told(pool) == []


async def test_a_stop_of_a_batch_is_heard_though_an_answer_before_it_is_not_known_yet(
    pool: Pool, settings: Settings
) -> None:
    batch = {"messages": [text("4"), text("STOPP", "wamid.2")]}
    assert (await from_whatsapp(application(pool, settings, Clock(), caught_up=False), batch)).status == 503
    assert await stopped(pool) == [PERSON]
    await invite(pool, person_id=PERSON)
    assert (await from_whatsapp(application(pool, settings, Clock()), batch)).status == 200
    assert await scores(pool) == [(4, False, "sms")]
    assert await stopped(pool) == [PERSON]
