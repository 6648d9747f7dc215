"""What providers report back, read from bodies as their documents show them, and the one order of all reports."""

import hashlib
import hmac
import itertools
import json
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.chassis import provider_signatures
from services.chassis.failures import Poison
from services.chassis.sealing import Seal
from services.notifier.channels.gateway import Gateway, GatewayTable, ReceiptFields
from services.notifier.channels.receipt_links import ReceiptLinks
from services.notifier.channels.reports import Posted, Progress, Report, Reporting, Subscribed, further
from services.notifier.channels.whatsapp import Whatsapp, WhatsappTable
from tests.channel_kit import KITS, LINKS, REFERENCE

FORM = {"content-type": "application/x-www-form-urlencoded"}
STRANGERS = ReceiptLinks(Seal(b"x" * 32), LINKS.base)
WHATSAPP = WhatsappTable(
    name="whatsapp",
    adapter="whatsapp",
    phone_number_id="1",
    template="t",
    languages={},
    verify_token="verify-token-0001",
)
META = Whatsapp(WHATSAPP, "made-up", "app-secret")


def channel(name: str) -> Reporting:
    made = next(k for k in KITS if k.name == name).make(1, 5)
    assert isinstance(made, Reporting)
    return made


def posted(provider: str, form: dict[str, str], links: ReceiptLinks = LINKS, signed: str = "") -> Posted:
    query = dict(p.split("=") for p in urlsplit(links.url(provider, REFERENCE)).query.split("&"))
    return Posted(query, FORM | {"x-twilio-signature": signed}, urlencode(form).encode())


def refusal(reporting: Reporting, request: Posted) -> str:
    with pytest.raises(Poison) as raised:
        reporting.reports(request)
    return raised.value.reason


ELKS_ID = "s70df59406a1b4643b96f3f91e0bfb7b0"


@pytest.mark.parametrize(
    ("form", "progress", "reason"),
    [
        ({"id": ELKS_ID, "status": "sent"}, Progress.SENT, None),
        ({"id": ELKS_ID, "status": "delivered", "delivered": "2026-10-13T12:00:09.1"}, Progress.DELIVERED, None),
        ({"id": ELKS_ID, "status": "failed"}, Progress.UNDELIVERED, "failed"),
    ],
)
def test_46elks_reports_in_a_form(form: dict[str, str], progress: Progress, reason: str | None) -> None:
    request = posted("elks", form)
    [report] = channel("46elks").reports(request)
    assert report == Report(REFERENCE, ELKS_ID, form["status"], progress, request.body, reason)


def test_an_address_that_we_did_not_make_proves_nothing() -> None:
    form = {"id": ELKS_ID, "status": "delivered"}
    assert refusal(channel("46elks"), posted("elks", form, STRANGERS)) == "forged"
    assert refusal(channel("46elks"), posted("twilio", form)) == "forged"
    mine = posted("elks", form)
    assert refusal(channel("46elks"), replace(mine, query={})) == "forged"
    other = {**mine.query, "ref": "0198c0de-0000-7000-8000-000000000002"}
    assert refusal(channel("46elks"), replace(mine, query=other)) == "forged"


@pytest.mark.parametrize(
    "form",
    [{}, {"id": ELKS_ID}, {"id": "", "status": "sent"}, {"id": "a\n", "status": "sent"}, {"id": "a", "status": "lost"}],
)
def test_what_is_no_report_is_unreadable(form: dict[str, str]) -> None:
    assert refusal(channel("46elks"), posted("elks", form)) == "unreadable"
    assert refusal(channel("46elks"), replace(posted("elks", {}), body=b"\xff&id=1")) == "unreadable"


def callback(status: str, **more: str) -> dict[str, str]:
    return {"MessageSid": "SM0", "MessageStatus": status, "To": "+46701740634", "AccountSid": "AC0", **more}


def by_twilio(form: dict[str, str], token: str = "made-up") -> Posted:
    return posted("twilio", form, signed=provider_signatures.twilio(token, LINKS.url("twilio", REFERENCE), form))


@pytest.mark.parametrize(
    ("form", "progress", "reason", "hopeless"),
    [
        (callback("queued"), Progress.ACCEPTED, None, False),
        (callback("sent"), Progress.SENT, None, False),
        (callback("delivered"), Progress.DELIVERED, None, False),
        (callback("undelivered", ErrorCode="30003"), Progress.UNDELIVERED, "30003", False),
        (callback("undelivered", ErrorCode="30005"), Progress.UNDELIVERED, "30005", True),
        (callback("failed"), Progress.UNDELIVERED, "failed", False),
    ],
)
def test_twilio_reports_in_a_signed_form(
    form: dict[str, str], progress: Progress, reason: str | None, hopeless: bool
) -> None:
    [report] = channel("twilio").reports(by_twilio(form))
    assert (report.message_id, report.progress, report.reason, report.hopeless) == ("SM0", progress, reason, hopeless)


def test_twilios_signature_is_that_of_its_documents() -> None:
    # https://www.twilio.com/docs/usage/security shows this request and this signature.
    form = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675309",
        "Digits": "1234",
        "From": "+14158675309",
        "To": "+18005551212",
    }
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    assert provider_signatures.twilio("12345", url, form) == "RSOYDt4T1cUTdK1PDd93/VVr8B8="


def test_a_callback_that_twilio_did_not_sign_is_forged() -> None:
    right = by_twilio(callback("delivered"))
    assert refusal(channel("twilio"), by_twilio(callback("delivered"), "another")) == "forged"
    assert refusal(channel("twilio"), posted("twilio", callback("delivered"))) == "forged"
    changed = replace(right, body=right.body.replace(b"delivered", b"failed"))
    assert refusal(channel("twilio"), changed) == "forged"


def notification(*statuses: Mapping[str, object], **value: object) -> bytes:
    change = {"field": "messages", "value": {"messaging_product": "whatsapp", "statuses": list(statuses), **value}}
    return json.dumps({"object": "whatsapp_business_account", "entry": [{"id": "0", "changes": [change]}]}).encode()


def by_meta(body: bytes, secret: str = "app-secret") -> Posted:
    digest = hmac.digest(secret.encode(), body, hashlib.sha256).hex()
    return Posted({}, {"x-hub-signature-256": f"sha256={digest}"}, body)


def test_whatsapp_reports_several_statuses_at_once_and_only_those_with_our_reference_count() -> None:
    ours = {"id": "wamid.1", "recipient_id": "46701740634", "biz_opaque_callback_data": REFERENCE}
    failed = {**ours, "status": "failed", "errors": [{"code": 131026, "title": "Message undeliverable"}]}
    body = notification(
        {**ours, "status": "sent"},
        {**ours, "id": "wamid.2", "status": "read"},
        failed,
        {**ours, "status": "delivered", "biz_opaque_callback_data": "another system"},
        {"id": "wamid.3", "status": "delivered"},
        {**ours, "status": "warned"},
    )
    found = META.reports(by_meta(body))
    assert [(r.message_id, r.progress, r.reason, r.hopeless) for r in found] == [
        ("wamid.1", Progress.SENT, None, False),
        ("wamid.2", Progress.DELIVERED, None, False),
        ("wamid.1", Progress.UNDELIVERED, "131026", False),
    ]
    assert json.loads(found[2].raw) == failed


def test_a_report_with_half_a_letter_in_it_is_kept_like_any_other() -> None:
    torn = {"id": "wamid.1", "biz_opaque_callback_data": REFERENCE, "status": "sent", "recipient_id": "\ud83d"}
    [found] = META.reports(by_meta(notification(torn)))
    assert json.loads(found.raw) == torn


def test_a_message_of_a_person_is_no_report() -> None:
    inbound = json.loads(notification(messages=[{"from": "46701740634", "type": "text", "text": {"body": "4"}}]))
    del inbound["entry"][0]["changes"][0]["value"]["statuses"]
    assert META.reports(by_meta(json.dumps(inbound).encode())) == []


def test_what_meta_did_not_sign_is_forged_and_without_a_secret_everything_is() -> None:
    body = notification({"id": "wamid.1", "status": "sent", "biz_opaque_callback_data": REFERENCE})
    assert refusal(META, by_meta(body, "another")) == "forged"
    assert refusal(META, replace(by_meta(body), headers={})) == "forged"
    assert refusal(META, replace(by_meta(body), body=body + b" ")) == "forged"
    assert refusal(Whatsapp(WHATSAPP, "made-up"), by_meta(body, "")) == "forged"
    for broken in (b"", b"[]", b"null", b'{"entry": [{"changes": [{"value": 4}]}]}', b"[" * 5000):
        assert refusal(META, by_meta(broken)) == "unreadable", broken


def test_only_who_knows_the_token_is_told_that_the_address_is_ours() -> None:
    asked = {"hub.mode": "subscribe", "hub.verify_token": "verify-token-0001", "hub.challenge": "1158201444"}
    assert isinstance(META, Subscribed)
    assert META.challenge(asked) == "1158201444"
    assert META.challenge({**asked, "hub.verify_token": "x"}) is None
    without = Whatsapp(WHATSAPP.model_copy(update={"verify_token": None}), "made-up")
    assert without.challenge({**asked, "hub.verify_token": ""}) is None


GATEWAY = GatewayTable(
    name="gateway",
    adapter="gateway",
    url="http://127.0.0.1:1/",
    fields={"to": "to", "text": "text"},
    receipts=ReceiptFields(
        id="mid",
        status="stat",
        reason="err",
        statuses={"DELIVRD": Progress.DELIVERED, "UNDELIV": Progress.UNDELIVERED, "3": Progress.SENT},
        hopeless=frozenset({"1"}),
    ),
)


def test_a_gateways_receipt_is_read_as_its_table_says_from_a_form_or_from_json() -> None:
    described = Gateway(GATEWAY, "made-up", LINKS)
    form = posted("gateway", {"mid": "m-1", "stat": "DELIVRD"})
    as_json = replace(form, headers={"content-type": "application/json; charset=utf-8"}, body=b'{"mid": 7, "stat": 3}')
    failed = posted("gateway", {"mid": "m-1", "stat": "UNDELIV", "err": "1"})
    found = [described.reports(p)[0] for p in (form, as_json, failed)]
    assert [(r.message_id, r.progress, r.reason, r.hopeless) for r in found] == [
        ("m-1", Progress.DELIVERED, None, False),
        ("7", Progress.SENT, None, False),
        ("m-1", Progress.UNDELIVERED, "1", True),
    ]
    for body in (b"[]", b'{"mid": "m-1", "stat": "GONE"}', b'{"mid": ["m-1"], "stat": "DELIVRD"}', b"{"):
        assert refusal(described, replace(as_json, body=body)) == "unreadable"
    assert refusal(described, posted("gateway", {"mid": "m-1", "stat": "DELIVRD"}, STRANGERS)) == "forged"
    plain = Gateway(GATEWAY.model_copy(update={"receipts": None}), "made-up", LINKS)
    assert refusal(plain, form) == "unreadable"


@given(st.lists(st.sampled_from(Progress), max_size=6))
def test_in_any_order_and_however_often_the_same_reports_say_the_same(told: list[Progress]) -> None:
    def fold(reports: tuple[Progress, ...]) -> Progress | None:
        known: Progress | None = None
        for progress in reports:
            after = further(known, progress)
            assert known is None or further(after, known) is after  # never back
            known = after
        return known

    results = {fold(order) for order in itertools.islice(itertools.permutations(told), 200)}
    assert len(results) == 1
    assert fold((*told, *told)) in results


def test_a_message_that_was_given_up_may_still_arrive_and_one_that_arrived_has() -> None:
    assert further(Progress.UNDELIVERED, Progress.DELIVERED) is Progress.DELIVERED
    assert further(Progress.DELIVERED, Progress.UNDELIVERED) is Progress.DELIVERED
    assert further(Progress.SENT, Progress.ACCEPTED) is Progress.SENT
    assert further(None, Progress.ACCEPTED) is Progress.ACCEPTED
