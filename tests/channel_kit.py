"""Every channel that calls over HTTP, pointed at a server of the test."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from schemas.delivery import ChannelKind
from services.chassis.sealing import Seal
from services.notifier.channels import Channel, Message
from services.notifier.channels.elks import Elks, ElksTable
from services.notifier.channels.gateway import Gateway, GatewayTable
from services.notifier.channels.receipt_links import ReceiptLinks
from services.notifier.channels.safe_address import Doorman
from services.notifier.channels.twilio import Twilio, TwilioTable
from services.notifier.channels.web_push import WebPush, WebPushTable, to_base64
from services.notifier.channels.webhook import AppWebhook, WebhookTable
from services.notifier.channels.whatsapp import Whatsapp, WhatsappTable

LINKS = ReceiptLinks(Seal(b"s" * 32), "https://svar.nordposten.example")
REFERENCE = "0198c0de-0000-7000-8000-000000000001"
SECRET = f"whsec_{base64.b64encode(b'k' * 24).decode()}"
SID = f"AC{'0' * 32}"
SMS = Message(
    REFERENCE,
    1,
    ChannelKind.SMS,
    "+46701740634",
    "sv",
    "Hur gick leveransen?",
    "Nordposten: Hur gick det? https://svar.nordposten.example/r/Qk7rW2pXz9Lm4Tn8Vb3Yc6",
    None,
    "https://svar.nordposten.example/r/Qk7rW2pXz9Lm4Tn8Vb3Yc6",
    asker="Nordposten och Fjällbod",
    told="Ditt paket levererat tisdag 14:00. Hur gick det?",
)
BROWSER = ec.generate_private_key(ec.SECP256R1())
BROWSER_AUTH = b"0123456789abcdef"
VAPID = ec.generate_private_key(ec.SECP256R1())


async def loopback(_host: str, _port: int) -> list[str]:
    """Every name is this machine."""
    return ["127.0.0.1"]


HERE = Doorman(loopback, allow=lambda n: n.is_loopback, ports=lambda _: True, schemes=frozenset({"http"}))


def pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def subscription(port: int) -> str:
    point = BROWSER.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    keys = {"p256dh": to_base64(point), "auth": to_base64(BROWSER_AUTH)}
    return json.dumps({"endpoint": f"http://push.example:{port}/send/abc", "keys": keys})


@dataclass(frozen=True)
class Kit:
    """A channel made for a port, and a message that it can take there."""

    name: str
    make: Callable[[int, float], Channel]
    message: Callable[[int], Message]
    accepted: tuple[int, str]


def _gateway(port: int, timeout: float) -> Channel:
    table = GatewayTable(
        name="gateway",
        adapter="gateway",
        url=f"http://127.0.0.1:{port}/messages",
        fields={"to": "recipient", "text": "body", "reference": "client_ref", "receipt_url": "report_to"},
        constant={"from": "Nordposten"},
        reference_header="Idempotency-Key",
        error_field="code",
        errors={"blocked": "refused", "no_credit": "refused_for_now"},
        refused_for_now=frozenset({503}),
        timeout_seconds=timeout,
        secret_file=Path("unread"),
    )
    return Gateway(table, "made-up", LINKS)


def _elks(port: int, timeout: float) -> Channel:
    url = f"http://127.0.0.1:{port}/a1/sms"
    table = ElksTable(name="elks", adapter="46elks", user="u1", sender="Nordposten", url=url, timeout_seconds=timeout)
    return Elks(table, "made-up", LINKS)


def _twilio(port: int, timeout: float) -> Channel:
    url = f"http://127.0.0.1:{port}"
    table = TwilioTable(
        name="twilio", adapter="twilio", account_sid=SID, sender="+46701740690", url=url, timeout_seconds=timeout
    )
    return Twilio(table, "made-up", LINKS)


def _whatsapp(port: int, timeout: float) -> Channel:
    table = WhatsappTable(
        name="whatsapp",
        adapter="whatsapp",
        phone_number_id="106540352242922",
        template="delivery_question",
        languages={"sv": "sv", "en": "en_GB"},
        url=f"http://127.0.0.1:{port}/v23.0",
        timeout_seconds=timeout,
    )
    return Whatsapp(table, "made-up")


def _webhook(port: int, timeout: float) -> Channel:
    url = f"http://app.example:{port}/hooks/kvittera"
    return AppWebhook(WebhookTable(name="app", adapter="webhook", url=url, timeout_seconds=timeout), SECRET, HERE)


def _push(_port: int, timeout: float) -> Channel:
    table = WebPushTable(
        name="push", adapter="webpush", contact="mailto:drift@nordposten.example", timeout_seconds=timeout
    )
    return WebPush(table, pem(VAPID), HERE)


KITS = (
    Kit("gateway", _gateway, lambda _: SMS, (202, '{"id": "m-1"}')),
    Kit("46elks", _elks, lambda _: SMS, (200, '{"id": "s70df59406a1b4643b96f3f91e0bfb7b0", "status": "created"}')),
    Kit("twilio", _twilio, lambda _: SMS, (201, '{"sid": "SM00000000000000000000000000000000", "status": "queued"}')),
    Kit("whatsapp", _whatsapp, lambda _: SMS, (200, '{"messages": [{"id": "wamid.HBg"}]}')),
    Kit("webhook", _webhook, lambda _: replace(SMS, kind=ChannelKind.APP, address="app-user-1"), (204, "")),
    Kit("webpush", _push, lambda port: replace(SMS, kind=ChannelKind.PUSH, address=subscription(port)), (201, "")),
)
