"""No address, phone number, token or password comes out of a log line, whatever it was logged as."""

import json
import subprocess
import sys
import time
from importlib.metadata import version
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from services.chassis.logs import redact, scrub, tell_start

MAIL = "canary.maja@post.example"
TOKEN = "Q2FuYXJ5X2NhbmFyeV9jYW"
PHONES = ["+46701740605", "+46 70 174 06 05", "+46 (0)70-174 06 05", "+358-40-123-4567", "0046701740605"]
DSNS = [
    "postgresql://kvittera:canary-password@db.internal:5432/kvittera",
    "postgresql://kvittera:canary-password@localhost/kvittera",
    "postgresql://kvittera:canary-password@[::1]:5432/kvittera",
    "host=db user=kvittera password=canary-password dbname=kvittera",
    "amqp://:canary-password@host",
]
BEFORE = st.sampled_from(["", "to ", "to=", "tel:", "mailto:", "<", "('", '{"x": "', "says: ", "\n", "sms:"])
AFTER = st.sampled_from(["", " ", "\n", ">", "')", '"}', ", then", "; x", "?"])
SECRETS = [MAIL, *PHONES, *DSNS]


def holds_a_canary(text: str) -> bool:
    digits = "".join(c for c in text if c.isdigit())
    return "canary" in text or TOKEN in text or "701234567" in digits or "401234567" in digits


@given(before=BEFORE, secret=st.sampled_from(SECRETS), after=AFTER)
def test_secrets_are_scrubbed_from_any_text(before: str, secret: str, after: str) -> None:
    assert not holds_a_canary(scrub(before + secret + after))


@given(before=BEFORE, after=AFTER)
def test_survey_links_lose_their_token(before: str, after: str) -> None:
    assert TOKEN not in scrub(f"{before}https://svar.example/r/{TOKEN}{after}")
    assert TOKEN not in scrub(f"{before}/r/{TOKEN}/comment{after}")


@pytest.mark.parametrize(
    "harmless",
    [
        "2026-11-22T06:47:46.123456+00:00 took 12.5 ms",
        "delivery.completed.v1/3@1234567890",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "KafkaConnectionError at 127.0.0.1:9092",
        "postgresql://127.0.0.1:5432/kvittera",
        "offset 46701234567",
    ],
)
def test_what_operators_need_stays(harmless: str) -> None:
    assert scrub(harmless) == harmless


def shapes(secret: str) -> list[dict[str, Any]]:
    return [
        {"event": secret},
        {"event": "x", "detail": secret},
        {"event": "x", "detail": {"inner": {"deep": [secret]}}},
        {"event": "x", "detail": [("a", secret)]},
        {"event": "x", "detail": secret.encode()},
        {"event": "x", "detail": ValueError(secret)},
        {"event": "x", "detail": {secret: 1}},
        {"event": "x", "detail": {f"a {secret}"}},
    ]


@given(secret=st.sampled_from([*SECRETS, f"/r/{TOKEN}"]), data=st.data())
def test_secrets_are_scrubbed_from_every_shape_of_value(secret: str, data: st.DataObject) -> None:
    event = data.draw(st.sampled_from(shapes(secret)))
    assert not holds_a_canary(json.dumps(redact(None, "info", event), default=repr))


@pytest.mark.parametrize(
    "key", ["email", "Email", "phone", "recipient_phone", "comment", "token", "password", "smtp_password", "dsn", "pii"]
)
def test_values_under_a_telling_name_are_hidden_whatever_they_look_like(key: str) -> None:
    assert redact(None, "info", {"event": "x", key: "0701"}) == {"event": "x", key: "[redacted]"}
    nested = redact(None, "info", {"event": "x", "data": {key: {"a": 1}}})
    assert nested == {"event": "x", "data": {key: "[redacted]"}}


def test_numbers_and_flags_keep_their_kind() -> None:
    event = {"event": "x", "n": 3, "share": 0.5, "on": True, "off": None}
    assert redact(None, "info", dict(event)) == event


def test_a_service_says_that_it_starts_where_it_listens_and_which_version_it_is() -> None:
    with capture_logs() as told:
        tell_start("127.0.0.1", 8602)
    assert told == [
        {
            "event": "starts",
            "log_level": "info",
            "action": "start",
            "version": version("kvittera"),
            "listens": "127.0.0.1:8602",
        }
    ]


PROGRAM = """
import logging, sys, structlog
from services.chassis.logs import configure_logs
from services.chassis.settings import Settings
configure_logs(Settings(log_format=sys.argv[1]), "survey")
log = structlog.get_logger()
secret = sys.argv[2]
log.info("read " + secret, phone=secret, nested={"a": [secret]})
try:
    raise ValueError("cannot use " + secret)
except ValueError as error:
    log.exception("failed", cause=error)
    logging.getLogger("aiokafka").exception("library says %s", secret)
logging.getLogger("uvicorn").warning("asked %s", secret, extra={"path": secret})
"""


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_canary_comes_out_of_a_running_program(form: str) -> None:
    secret = f"{MAIL} {PHONES[0]} {DSNS[0]} /r/{TOKEN}"
    done = subprocess.run([sys.executable, "-c", PROGRAM, form, secret], capture_output=True, text=True, check=True)
    assert "library says" in done.stderr
    assert "failed" in done.stderr
    assert not holds_a_canary(done.stderr + done.stdout)
    if form == "json":
        lines = [json.loads(line) for line in done.stderr.splitlines()]
        assert [line["service"] for line in lines] == ["survey"] * 4
        assert [line["level"] for line in lines] == ["info", "error", "error", "warning"]


@pytest.mark.parametrize("unit", ["a", "://a:", "password=", "+1"])
def test_no_line_takes_long_to_scrub_however_long_it_is(unit: str) -> None:
    began = time.thread_time()
    scrub(unit * (30_000 // len(unit)))
    assert time.thread_time() - began < 1  # as some were read before, five seconds


def test_the_number_of_a_parcel_is_no_phone_number_where_it_says_so() -> None:
    parcel, phone = "00373500000000000017", PHONES[-1]
    assert redact(None, "info", {"event": "x", "delivery_id": parcel}) == {"event": "x", "delivery_id": parcel}
    assert redact(None, "info", {"event": "x", "delivery_id": phone}) == {"event": "x", "delivery_id": "[phone]"}
