"""From a record to what is counted: the quick way and the contract must say the same."""

import json
import uuid
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from aiokafka import ConsumerRecord
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.cloudevents import Event, to_headers
from schemas.invitation import Outcome
from schemas.response import ResponseRecorded
from schemas.topics import INVITATION_DECIDED, RESPONSE_RECORDED
from services.aggregator.counting.reading import CountedAnswer, CountedDecision, reader
from services.chassis.failures import Poison
from tests.builders import NOON, decided, facts, record

READ = reader()
RESPONSE_ID = "0198c0de-0000-7000-8000-000000000001"


def answer(**changed: Any) -> ResponseRecorded:
    delivery = changed.pop("delivery", {})
    plain: dict[str, Any] = {
        "response_id": RESPONSE_ID,
        "invitation_id": RESPONSE_ID,
        "revision": 2,
        "score": 4,
        "commented": True,
        "answered_at": NOON,
        "recorded_at": NOON,
        "delivery": facts(**delivery),
    }
    return ResponseRecorded.model_validate(plain | changed)


def structured(topic: str, message: bytes) -> ConsumerRecord:
    """The same message as a CloudEvent in structured mode, which the quick way does not know."""
    envelope = {"specversion": "1.0", "id": "1", "source": "/x", "type": topic, "data": json.loads(message)}
    slow = record(topic, json.dumps(envelope).encode())
    slow.headers = (("content-type", b"application/cloudevents+json"),)
    return slow


def broken(change: dict[str, Any], topic: str = RESPONSE_RECORDED) -> bytes:
    message = answer() if topic == RESPONSE_RECORDED else decided()
    whole = json.loads(message.model_dump_json())
    for path, value in change.items():
        *above, last = path.split(".")
        part = whole
        for name in above:
            part = part[name]
        part[last] = value
    return json.dumps(whole).encode()


def test_an_answer_is_read_as_far_as_it_is_counted() -> None:
    read = READ(record(RESPONSE_RECORDED, answer().model_dump_json().encode()))
    assert isinstance(read, CountedAnswer)
    assert (read.response_id, read.revision, read.score) == (uuid.UUID(RESPONSE_ID), 2, 4)
    assert (read.commented, read.contested, read.delivery.terminal) == (True, False, "Årsta")


@pytest.mark.parametrize(
    ("outcome", "column"),
    [
        ("scheduled", "pending"),
        ("in_doubt", "pending"),
        ("asked", "asked"),
        ("suppressed", "suppressed"),
        ("failed", "failed"),
    ],
)
def test_a_decision_is_read_as_the_counter_it_stands_in(outcome: str, column: str) -> None:
    message = decided(outcome=outcome, reason="too_old", revision=3)
    read = READ(record(INVITATION_DECIDED, message.model_dump_json(exclude_none=True).encode()))
    assert isinstance(read, CountedDecision)
    assert (read.kind, read.revision, read.outcome, read.delivery.delivery_id) == ("ask", 3, column, "D-1")
    assert {o.value for o in Outcome} == {"scheduled", "in_doubt", "asked", "suppressed", "failed"}


def test_a_tombstone_means_nothing() -> None:
    assert READ(record(RESPONSE_RECORDED, None)) is None


words = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=20)
codes = st.from_regex(r"[A-Za-z0-9_.:\-]{1,20}", fullmatch=True)
moments = st.datetimes(datetime(1970, 1, 2), datetime(2261, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
snapshots = st.fixed_dictionaries(
    {"delivery_id": codes, "carrier": words, "occurred_at": moments},
    optional={
        "terminal": words,
        "route": words,
        "driver": codes,
        "service_point": words,
        "merchant_id": codes,
        "merchant_name": words,
        "postcode_prefix": st.sampled_from(["1", "117", "SW1A"]),
        "method_chosen_by_recipient": st.booleans(),
        "late": st.booleans(),
        "attempt": st.integers(1, 20),
        "touchpoint": st.sampled_from(["home", "locker", "return"]),
        "zone": st.sampled_from(["Europe/Stockholm", "Asia/Kathmandu", "UTC"]),
    },
)


@settings(max_examples=150)
@given(
    delivery=snapshots,
    response_id=st.uuids(),
    revision=st.integers(1, 2**31 - 1),
    score=st.none() | st.integers(1, 5),
    commented=st.booleans(),
    contested=st.booleans(),
    recorded_at=moments,
    without_nulls=st.booleans(),
)
def test_the_quick_way_and_the_contract_read_an_answer_alike(
    delivery: dict[str, Any],
    response_id: uuid.UUID,
    revision: int,
    score: int | None,
    commented: bool,
    contested: bool,
    recorded_at: datetime,
    without_nulls: bool,
) -> None:
    message = answer(
        delivery=delivery,
        response_id=str(response_id),
        revision=revision,
        score=score,
        commented=commented,
        contested=contested,
        recorded_at=recorded_at,
    ).model_dump_json(exclude_none=without_nulls)
    quick = READ(record(RESPONSE_RECORDED, message.encode()))
    full = READ(structured(RESPONSE_RECORDED, message.encode()))
    assert quick == full
    assert isinstance(quick, CountedAnswer)
    assert (quick.response_id, quick.score) == (response_id, score)


@settings(max_examples=100)
@given(
    delivery=snapshots,
    revision=st.integers(1, 2**31 - 1),
    outcome=st.sampled_from([o.value for o in Outcome]),
    kind=codes,
)
def test_the_quick_way_and_the_contract_read_a_decision_alike(
    delivery: dict[str, Any], revision: int, outcome: str, kind: str
) -> None:
    message = decided(delivery=delivery, revision=revision, outcome=outcome, kind=kind, reason="r").model_dump_json()
    quick = READ(record(INVITATION_DECIDED, message.encode()))
    assert quick == READ(structured(INVITATION_DECIDED, message.encode()))
    assert isinstance(quick, CountedDecision)


def test_a_record_with_event_headers_is_read_like_a_plain_one() -> None:
    message = answer().model_dump_json().encode()
    with_headers = record(RESPONSE_RECORDED, message)
    with_headers.headers = tuple(
        to_headers(Event(id="1", source="/kvittera/survey", type=RESPONSE_RECORDED, data=message))
    )
    assert READ(with_headers) == READ(record(RESPONSE_RECORDED, message))


@pytest.mark.parametrize(
    "change",
    [
        {"score": 0},
        {"score": 6},
        {"score": "5"},
        {"score": True},
        {"score": 5.5},
        {"revision": 0},
        {"revision": 2**70},
        {"revision": 2**31},  # right by the contract, too much for the counters
        {"response_id": None},
        {"response_id": []},
        {"response_id": ""},
        {"response_id": "not-a-uuid"},  # right by the contract as well
        {"delivery": None},
        {"delivery": {}},
        {"delivery.occurred_at": "2026-10-13T12:00:00"},  # without an offset
        {"delivery.occurred_at": "0001-01-01T00:00:00Z"},
        {"delivery.occurred_at": "9999-12-31T23:59:59Z"},
        {"delivery.occurred_at": 1},
        {"recorded_at": "yesterday"},
        {"commented": 1},
    ],
)
def test_an_answer_that_cannot_be_counted_is_poison(change: dict[str, Any]) -> None:
    with pytest.raises(Poison):
        READ(record(RESPONSE_RECORDED, broken(change)))


@pytest.mark.parametrize(
    "change", [{"outcome": "lost"}, {"outcome": None}, {"revision": 2**31}, {"delivery.attempt": "1"}]
)
def test_a_decision_that_cannot_be_counted_is_poison(change: dict[str, Any]) -> None:
    with pytest.raises(Poison):
        READ(record(INVITATION_DECIDED, broken(change, INVITATION_DECIDED)))


@pytest.mark.parametrize("value", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'"text"', b"{}", b"[" * 10_000])
@pytest.mark.parametrize("topic", [RESPONSE_RECORDED, INVITATION_DECIDED])
def test_what_is_no_message_is_poison(topic: str, value: bytes) -> None:
    with pytest.raises(Poison):
        READ(record(topic, value))


@given(
    st.binary(max_size=200) | st.recursive(st.none() | st.text(max_size=5), st.lists, max_leaves=5).map(orjson.dumps)
)
def test_any_bytes_are_read_or_poison(value: bytes) -> None:
    with pytest.raises(Poison):
        READ(record(RESPONSE_RECORDED, value))


def test_poison_never_repeats_what_the_record_says() -> None:
    with pytest.raises(Poison) as poison:
        READ(record(RESPONSE_RECORDED, broken({"score": "CANARY-4711"})))
    assert "CANARY" not in f"{poison.value} {poison.value.detail}"
