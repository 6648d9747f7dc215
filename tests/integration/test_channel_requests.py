"""What each provider is told, as its public documents ask for it, and what its own codes mean."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jwt
from joserfc.jwk import ECKey
from standardwebhooks.webhooks import Webhook as Signer

from schemas.delivery import ChannelKind
from services.chassis.metrics import Metrics
from services.notifier.channels import Fate, Result
from services.notifier.channels.routed import Provider, Routed
from tests.channel_kit import BROWSER, BROWSER_AUTH, KITS, LINKS, REFERENCE, SECRET, SID, SMS, VAPID, pem, subscription
from tests.gateways import Called, answer, gateway

KIT = {kit.name: kit for kit in KITS}
TEXT = SMS.text


async def told(name: str) -> Called:
    """The one request that a channel made."""
    async with gateway(answer(*KIT[name].accepted)) as server:
        channel = KIT[name].make(server.port, 5)
        await channel.send(KIT[name].message(server.port))
        await channel.close()
    [call] = server.calls
    return call


async def fate(name: str, status: int, body: str) -> tuple[Fate, str | None]:
    async with gateway(answer(status, body)) as server:
        channel = KIT[name].make(server.port, 5)
        result = await channel.send(KIT[name].message(server.port))
        await channel.close()
    return result.fate, result.reason


def basic(user: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:made-up".encode()).decode()


def proved(url: str, provider: str) -> bool:
    query = parse_qs(urlsplit(url).query)
    return urlsplit(url).path == f"/receipts/{provider}" and LINKS.holds(provider, *query["ref"], *query["proof"])


async def test_46elks_gets_a_form_and_an_address_for_the_receipt() -> None:
    call = await told("46elks")
    form = dict(parse_qsl(call.body.decode()))
    assert (call.method, call.path, call.headers["authorization"]) == ("POST", "/a1/sms", basic("u1"))
    assert proved(form.pop("whendelivered"), "elks")
    assert form == {"from": "Nordposten", "to": "+46701740634", "message": TEXT}


async def test_twilio_gets_a_form_and_an_address_for_the_receipt() -> None:
    call = await told("twilio")
    form = dict(parse_qsl(call.body.decode()))
    assert call.path == f"/2010-04-01/Accounts/{SID}/Messages.json"
    assert call.headers["authorization"] == basic(SID)
    assert proved(form.pop("StatusCallback"), "twilio")
    assert form == {"From": "+46701740690", "To": "+46701740634", "Body": TEXT}


async def test_a_described_gateway_gets_the_fields_that_its_table_names() -> None:
    call = await told("gateway")
    body = json.loads(call.body)
    assert (call.headers["authorization"], call.headers["idempotency-key"]) == ("Bearer made-up", REFERENCE)
    assert proved(body.pop("report_to"), "gateway")
    assert body == {"from": "Nordposten", "recipient": "+46701740634", "body": TEXT, "client_ref": REFERENCE}


async def test_whatsapp_gets_an_approved_template_with_who_asks_about_what_and_the_token_of_the_link() -> None:
    call = await told("whatsapp")
    body = json.loads(call.body)
    assert (call.path, call.headers["authorization"]) == ("/v23.0/106540352242922/messages", "Bearer made-up")
    assert (body["to"], body["type"], body["biz_opaque_callback_data"]) == ("46701740634", "template", REFERENCE)
    assert (body["template"]["name"], body["template"]["language"]) == ("delivery_question", {"code": "sv"})
    shown, button = body["template"]["components"]
    assert shown["parameters"] == [
        {"type": "text", "text": "Nordposten och Fjällbod"},
        {"type": "text", "text": "Ditt paket levererat tisdag 14:00. Hur gick det?"},
    ]
    assert button["parameters"] == [{"type": "text", "text": "Qk7rW2pXz9Lm4Tn8Vb3Yc6"}]


async def test_the_app_gets_a_signed_webhook_under_our_reference() -> None:
    call = await told("webhook")
    Signer(SECRET).verify(call.body, call.headers)
    assert (call.path, call.headers["webhook-id"]) == ("/hooks/kvittera", REFERENCE)
    assert call.headers["host"].startswith("app.example:")
    data = json.loads(call.body)["data"]
    assert (data["recipient"], data["link"], data["language"]) == ("app-user-1", SMS.link, "sv")


async def test_a_browser_can_read_its_push_message() -> None:
    call = await told("webpush")
    shown = json.loads(decrypted(call.body))
    assert shown == {"title": "Hur gick leveransen?", "body": TEXT, "url": SMS.link}
    assert (call.headers["content-encoding"], call.headers["ttl"]) == ("aes128gcm", "86400")


async def test_a_push_service_can_check_who_sends() -> None:
    call = await told("webpush")
    scheme, token, key = call.headers["authorization"].replace(",", "").split(" ")
    public = ECKey.import_key(pem(VAPID))
    claims = jwt.decode(token.removeprefix("t="), public, algorithms=["ES256"]).claims
    assert scheme == "vapid"
    assert len(base64.urlsafe_b64decode(key.removeprefix("k=") + "=")) == 65
    assert claims["sub"] == "mailto:drift@nordposten.example"
    assert claims["aud"] == f"http://{call.headers['host']}"
    assert 0 < claims["exp"] - datetime.now(UTC).timestamp() <= 24 * 3600


def decrypted(body: bytes) -> bytes:
    """What the browser does, written from RFC 8291 section 3.4."""
    salt, length = body[:16], body[20]
    server = body[21 : 21 + length]
    shared = BROWSER.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), server))
    numbers = BROWSER.public_key().public_numbers()
    mine = b"\x04" + numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")

    def derive(salt: bytes, material: bytes, info: bytes, size: int) -> bytes:
        return HKDF(algorithm=hashes.SHA256(), length=size, salt=salt, info=info).derive(material)

    key = derive(BROWSER_AUTH, shared, b"WebPush: info\x00" + mine + server, 32)
    content_key = derive(salt, key, b"Content-Encoding: aes128gcm\x00", 16)
    nonce = derive(salt, key, b"Content-Encoding: nonce\x00", 12)
    padded = AESGCM(content_key).decrypt(nonce, body[21 + length :], None)
    assert padded.rstrip(b"\x00")[-1:] == b"\x02"
    return padded.rstrip(b"\x00")[:-1]


@pytest.mark.parametrize(
    ("name", "status", "body", "expected"),
    [
        ("46elks", 200, '{"id": "s1", "status": "failed"}', (Fate.REFUSED, "elks_failed")),
        ("46elks", 403, "Not enough credits", (Fate.REFUSED_FOR_NOW, "elks_403")),
        ("twilio", 400, '{"code": 21211}', (Fate.REFUSED, "twilio_21211")),
        ("twilio", 400, '{"code": 21610}', (Fate.REFUSED, "twilio_21610")),
        ("twilio", 400, '{"code": 21606}', (Fate.REFUSED_FOR_NOW, "twilio_21606")),
        ("twilio", 400, '{"code": 21611}', (Fate.REFUSED_FOR_NOW, "twilio_21611")),
        ("twilio", 400, '{"code": 21660}', (Fate.REFUSED_FOR_NOW, "twilio_21660")),
        ("twilio", 429, '{"code": 20429}', (Fate.REFUSED_FOR_NOW, "twilio_429")),
        ("gateway", 400, '{"code": "blocked"}', (Fate.REFUSED, "gateway_blocked")),
        ("gateway", 400, '{"code": "no_credit"}', (Fate.REFUSED_FOR_NOW, "gateway_no_credit")),
        ("gateway", 503, "{}", (Fate.REFUSED_FOR_NOW, "gateway_503")),
        ("gateway", 500, '{"code": "no_credit"}', (Fate.IN_DOUBT, "gateway_500")),
        ("whatsapp", 400, '{"error": {"code": 131026}}', (Fate.REFUSED, "whatsapp_131026")),
        ("whatsapp", 400, '{"error": {"code": 130429}}', (Fate.REFUSED_FOR_NOW, "whatsapp_130429")),
        ("whatsapp", 403, '{"error": {"code": 200}}', (Fate.REFUSED_FOR_NOW, "whatsapp_200")),
        ("whatsapp", 403, '{"error": {"code": 368}}', (Fate.REFUSED_FOR_NOW, "whatsapp_368")),
        ("whatsapp", 400, '{"error": {"code": 132012}}', (Fate.REFUSED_FOR_NOW, "whatsapp_132012")),
        ("whatsapp", 500, '{"error": {"code": 131000}}', (Fate.IN_DOUBT, "whatsapp_500")),
        ("whatsapp", 401, '{"error": {"code": 190}}', (Fate.REFUSED_FOR_NOW, "whatsapp_190")),
        ("webpush", 410, "", (Fate.REFUSED, "push_gone")),
        ("webpush", 404, "", (Fate.REFUSED, "push_gone")),
    ],
)
async def test_a_providers_own_code_decides_between_no_and_not_now(
    name: str, status: int, body: str, expected: tuple[Fate, str]
) -> None:
    assert await fate(name, status, body) == expected


async def test_whatsapp_leaves_a_language_without_an_approved_template_to_another_provider() -> None:
    finnish = replace(SMS, language="fi")
    channel = KIT["whatsapp"].make(1, 1)
    assert await channel.send(finnish) == Result(Fate.REFUSED, "whatsapp_no_template", elsewhere=True)
    async with gateway(answer(202)) as server:
        other = KIT["gateway"].make(server.port, 5)
        both = Routed([Provider("whatsapp", 100, channel), Provider("gateway", 0, other)], Metrics())
        assert await both.send(finnish) == Result(Fate.ACCEPTED)
        await both.close()
    assert len(server.calls) == 1


@pytest.mark.parametrize("address", ["", "abc", "{}", '{"endpoint": "http://push.example"}', subscription(1)[:-20]])
async def test_what_is_no_subscription_is_refused_before_anybody_is_called(address: str) -> None:
    channel = KIT["webpush"].make(1, 1)
    message = replace(SMS, kind=ChannelKind.PUSH, address=address)
    assert await channel.send(message) == Result(Fate.REFUSED, "push_no_subscription")
    await channel.close()


async def test_messages_share_connections() -> None:
    async with gateway(answer(202)) as server:
        channel = KIT["gateway"].make(server.port, 5)
        for _ in range(3):
            await channel.send(SMS)
        await channel.close()
    assert (len(server.calls), server.connections) == (3, 1)
