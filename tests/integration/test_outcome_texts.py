"""Words to a person who left a phone number: one signed call to the gateway, and what its answer means."""

import socket
import uuid
from typing import cast

import orjson
import pytest
from pydantic import SecretStr
from standardwebhooks.webhooks import Webhook

from services.chassis.failures import MustStop
from services.chassis.metrics import Metrics
from services.chassis.postgres import Pool
from services.chassis.settings import Settings
from services.survey.outcomes.message import Fate, Result, Writer, ways_out
from services.survey.outcomes.phone_numbers import number_of_person
from services.survey.outcomes.text_message import TextGateway
from services.survey.outcomes.wiring import outcomes_of
from tests.caseload import NOW, shared_of
from tests.gateways import Act, answer, babble, gateway, hang, reset

SECRET = "whsec_bWFkZSB1cCBmb3IgdGhlIHRlc3Rz"
WRITER = Writer.load("Nordposten Demo", "08-465 004 10")
MESSAGE = WRITER.write_short(str(uuid.UUID(int=7)), "+46701740605", "sv", "Vi har lagt om lastningen på rutt 14.")


async def handed_over(*script: Act, seconds: float = 5) -> Result:
    async with gateway(*script) as book:
        result = await TextGateway(f"http://127.0.0.1:{book.port}/texts", SECRET, seconds).send(MESSAGE)
        assert len(book.calls) == 1
    return result


async def test_the_gateway_gets_number_words_and_parts_under_a_signature_that_it_can_check() -> None:
    async with gateway(answer(202)) as book:
        result = await TextGateway(f"http://127.0.0.1:{book.port}/texts", SECRET, 5).send(MESSAGE)
    assert result == Result(Fate.ACCEPTED)
    [call] = book.calls
    assert (call.method, call.path) == ("POST", "/texts")
    assert Webhook(SECRET).verify(call.body, call.headers) == {
        "type": "case.outcome",
        "data": {
            "reference": "00000000-0000-0000-0000-000000000007",
            "recipient": "+46701740605",
            "language": "sv",
            "text": "Nordposten Demo: Vi har lagt om lastningen på rutt 14.\n"
            "Du bad Nordposten Demo att höra av sig om en leverans. Frågor: ring 08-465 004 10.",
            "parts": 1,
        },
    }
    assert call.headers["webhook-id"] == "00000000-0000-0000-0000-000000000007"


@pytest.mark.parametrize(
    ("status", "fate"),
    [
        (200, Fate.ACCEPTED),
        (302, Fate.REFUSED_FOR_NOW),
        (400, Fate.REFUSED),
        (401, Fate.REFUSED_FOR_NOW),
        (408, Fate.IN_DOUBT),
        (422, Fate.REFUSED),
        (429, Fate.REFUSED_FOR_NOW),
        (500, Fate.IN_DOUBT),
        (503, Fate.IN_DOUBT),
    ],
)
async def test_only_an_answer_that_promises_that_nothing_was_taken_is_a_refusal(status: int, fate: Fate) -> None:
    reason = None if fate is Fate.ACCEPTED else f"gateway_{status}"
    assert await handed_over(answer(status, location="/again")) == Result(fate, reason)


@pytest.mark.parametrize("act", [reset, babble])
async def test_a_connection_that_breaks_after_the_first_byte_leaves_a_doubt(act: Act) -> None:
    result = await handed_over(act)
    assert (result.fate, (result.reason or "")[:8]) == (Fate.IN_DOUBT, "gateway_")


async def test_a_gateway_that_says_nothing_leaves_a_doubt() -> None:
    assert await handed_over(hang, seconds=0.2) == Result(Fate.IN_DOUBT, "gateway_TimeoutError")


async def test_a_gateway_that_cannot_be_reached_is_tried_again() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        unheard = TextGateway(f"http://127.0.0.1:{taken.getsockname()[1]}/", SECRET, 5)
        assert await unheard.send(MESSAGE) == Result(Fate.REFUSED_FOR_NOW, "gateway_unreachable")


@pytest.mark.parametrize(
    ("words", "taken"), [("å" * 800, True), ("å" * 900, False), ("ł" * 300, True), ("ł" * 400, False)]
)
async def test_more_than_six_parts_stay_here(words: str, taken: bool) -> None:
    async with gateway(answer(200)) as book:
        long = WRITER.write_short("r", "+46701740605", "sv", words)
        result = await TextGateway(f"http://127.0.0.1:{book.port}/", SECRET, 5).send(long)
    assert result == (Result(Fate.ACCEPTED) if taken else Result(Fate.WITHHELD, "too_long"))
    assert [orjson.loads(c.body)["data"]["parts"] for c in book.calls] == ([6] if taken else [])


@pytest.mark.parametrize(
    ("written", "country", "number"),
    [
        ("070-174 06 05", "SE", "+46701740605"),
        ("+46 (0)70 174 06 05", "FI", "+46701740605"),
        ("0046701740605", "SE", "+46701740605"),
        ("070-174 06 05", None, None),
        ("12345", "SE", None),
        ("ring min granne", "SE", None),
    ],
)
def test_a_number_is_read_as_people_write_it_in_the_country_of_the_delivery(
    written: str, country: str | None, number: str | None
) -> None:
    assert number_of_person(written, country) == number


@pytest.mark.parametrize(
    ("channel", "url", "words"),
    [
        ("outbox", "", "Put these words into the local outbox, where nothing is sent"),
        ("outbox", "https://gateway.example", "Put these words into the local outbox, where nothing is sent"),
        ("smtp", "", "Send these words to the person by e-mail"),
        ("smtp", "https://gateway.example", "Send these words to the person by e-mail or by text message"),
        ("providers", "https://gateway.example", "Send these words to the person by text message"),
        ("providers", "", ""),
    ],
)
def test_staff_are_offered_the_ways_that_there_are(channel: str, url: str, words: str) -> None:
    assert ways_out(channel, url) == words


@pytest.mark.parametrize(
    ("url", "secret", "why"),
    [("http://gateway.example/", SECRET, "https"), ("https://gateway.example/", "no secret", "whsec_")],
)
def test_a_gateway_in_the_clear_or_without_a_secret_stops_the_service(url: str, secret: str, why: str) -> None:
    settings = Settings.model_validate(
        {"sealing_key": "5e" * 32, "channel": "smtp", "outcome_text_url": url, "outcome_text_secret": SecretStr(secret)}
    )
    with pytest.raises(MustStop, match=why):
        outcomes_of(shared_of(cast("Pool", None), settings, Metrics(), lambda: NOW))
