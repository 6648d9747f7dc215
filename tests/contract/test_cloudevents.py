"""Records come in every shape that Kafka allows: what we can use is read, and all else is a ContractError."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from cloudevents.core.bindings import kafka as official
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.cloudevents import ContractError, Event, decode, read_record, to_headers
from schemas.disruption import DeliveryDisruption
from schemas.response import ResponseRecorded

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
EVENT = Event(
    id="e-1",
    source="/notifier",
    type="invitation.decided.v1",
    time=datetime(2026, 11, 20, 17, 42, 10, 500_000, tzinfo=UTC),
    data=b'{"a": 1}',
    subject="NPD-1",
    traceparent=TRACE,
    extensions={"sampledrate": "4"},
)

SIX_ERRORS = "revision int_type; state enum; kind missing; areas missing; starts_at missing; and 1 more"

words = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=40)
offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.builds(
    lambda seconds, zone: datetime(1970, 1, 2, tzinfo=UTC).astimezone(zone) + timedelta(seconds=seconds),
    st.floats(0, 9.2e9),
    offsets,
)
events = st.builds(
    Event,
    id=words,
    source=words,
    type=words,
    time=st.none() | moments,
    data=st.none() | st.binary(),
    subject=st.none() | words,
    traceparent=st.none() | st.just(TRACE),
    extensions=st.dictionaries(st.from_regex(r"x[a-z0-9]{1,10}", fullmatch=True), words, max_size=3),
)
header_names = st.text(max_size=8) | st.sampled_from(
    [
        "content-type",
        "Content-Type",
        "ce_id",
        "ce_source",
        "ce_type",
        "ce_specversion",
        "ce_time",
        "ce_x",
        "traceparent",
    ]
)
header_values = (
    st.none()
    | st.binary(max_size=20)
    | st.sampled_from(
        [
            b"1.0",
            b"application/cloudevents+json",
            b"application/json",
            b"\xff\xfe",
            b"2026-11-20T10:00:00Z",
            b"\x00",
        ]
    )
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
envelopes = st.dictionaries(
    st.sampled_from(
        ["id", "source", "type", "specversion", "time", "data", "data_base64", "subject", "traceparent"]
    ),
    json_values | st.sampled_from(["1.0", "e-1", "aGVq", "2026-11-20T10:00:00Z"]),
).map(lambda envelope: json.dumps(envelope).encode())


def structured(
    envelope: Mapping[str, object], content_type: bytes = b"application/cloudevents+json"
) -> Event:
    return read_record(json.dumps(envelope).encode(), [("content-type", content_type)])


def reason_of(value: bytes | None, headers: list[tuple[str, bytes | None]]) -> str:
    with pytest.raises(ContractError) as caught:
        read_record(value, headers)
    return caught.value.reason


def changed(name: str, value: bytes | None) -> list[tuple[str, bytes | None]]:
    """Return the headers of EVENT with one changed, or taken away where the value is None."""
    kept: list[tuple[str, bytes | None]] = [pair for pair in to_headers(EVENT) if pair[0] != name]
    return kept if value is None else [*kept, (name, value)]


def test_headers_are_those_of_the_kafka_binding() -> None:
    assert dict(to_headers(EVENT)) == {
        "content-type": b"application/json",
        "ce_specversion": b"1.0",
        "ce_id": b"e-1",
        "ce_source": b"/notifier",
        "ce_type": b"invitation.decided.v1",
        "ce_time": b"2026-11-20T17:42:10.500000Z",
        "ce_subject": b"NPD-1",
        "ce_sampledrate": b"4",
        "traceparent": TRACE.encode(),
    }


@given(events)
def test_what_is_written_in_binary_mode_is_read_back_whole(event: Event) -> None:
    assert read_record(event.data, to_headers(event)) == event


@given(events.filter(lambda event: event.data is not None))
def test_the_official_sdk_reads_what_we_write(event: Event) -> None:
    written = replace(event, data=b'{"a": 1}')

    seen = official.from_binary(
        official.KafkaMessage(dict(to_headers(written)), None, b'{"a": 1}'), JSONFormat()
    )

    assert (seen.get_id(), seen.get_source(), seen.get_type()) == (event.id, event.source, event.type)
    assert seen.get_subject() == event.subject
    assert event.time is None or seen.get_time() == event.time  # the SDK makes up a time where there is none
    assert {name: seen.get_extension(name) for name in event.extensions} == event.extensions
    assert seen.get_data() == {"a": 1}


@pytest.mark.parametrize("binary", [True, False])
def test_we_read_what_the_official_sdk_writes(binary: bool) -> None:
    theirs = CloudEvent(
        {
            "id": "e-1",
            "source": "/upstream",
            "type": "delivery.completed.v1",
            "time": datetime(2026, 11, 20, 18, 42, 10, tzinfo=timezone(timedelta(hours=1))),
            "subject": "NPD-1",
            "datacontenttype": "application/json",
            "sampledrate": "4",
        },
        {"carrier": "Nordposten Demo", "city": "Luleå"},
    )
    write = official.to_binary if binary else official.to_structured
    message = write(theirs, JSONFormat())

    seen = read_record(message.value, list(message.headers.items()))

    assert seen.data is not None
    assert json.loads(seen.data) == {"carrier": "Nordposten Demo", "city": "Luleå"}
    assert replace(seen, data=None) == Event(
        id="e-1",
        source="/upstream",
        type="delivery.completed.v1",
        time=datetime(2026, 11, 20, 17, 42, 10, tzinfo=UTC),
        data=None,
        subject="NPD-1",
        extensions={"sampledrate": "4"},
    )


def test_a_plain_json_record_without_ce_headers_is_read() -> None:
    seen = read_record(b"{}", [("content-type", b"application/json"), ("x-upstream", b"\xff")], b"k")

    assert seen == Event(id="", source="", type="", data=b"{}", key=b"k")


def test_header_names_are_read_in_any_case() -> None:
    headers = [(name.upper(), value) for name, value in to_headers(EVENT)]

    assert read_record(EVENT.data, headers) == EVENT


@pytest.mark.parametrize(
    "content_type",
    [
        b"application/cloudevents+json",
        b"Application/CloudEvents+JSON; charset=utf-8",
        b" application/cloudevents+json",
    ],
)
def test_structured_mode_is_told_by_its_content_type_in_any_case(content_type: bytes) -> None:
    envelope = {
        "specversion": "1.0",
        "id": "1",
        "source": "/u",
        "type": "t",
        "data": {"a": 1},
        "sampledrate": 4,
    }

    seen = structured(envelope, content_type)

    assert (seen.id, seen.data, seen.extensions) == ("1", b'{"a":1}', {"sampledrate": "4"})


def test_structured_data_may_come_as_base64() -> None:
    seen = structured(
        {"specversion": "1.0", "id": "1", "source": "/u", "type": "t", "data_base64": "eyJhIjogMX0="}
    )

    assert seen.data == b'{"a": 1}'


def test_a_record_without_value_is_a_tombstone_in_binary_and_plain_mode_only() -> None:
    assert read_record(None, to_headers(EVENT)).data is None
    assert read_record(None, []).data is None
    assert reason_of(None, [("content-type", b"application/cloudevents+json")]) == "bad_envelope"


def test_a_structured_record_without_data_is_no_tombstone() -> None:
    seen = structured({"specversion": "1.0", "id": "1", "source": "/u", "type": "t"})

    assert seen.data == b"null"


@pytest.mark.parametrize("name", ["ce_id", "ce_source", "ce_type", "ce_specversion"])
@pytest.mark.parametrize("value", [None, b"", b"\xff\xfe", b"a\x00b"])
def test_a_required_header_that_is_missing_or_broken_is_named(name: str, value: bytes | None) -> None:
    assert reason_of(b"{}", changed(name, value)) == "bad_header"


def test_another_version_of_cloudevents_is_refused() -> None:
    assert reason_of(b"{}", changed("ce_specversion", b"0.3")) == "bad_header"


@pytest.mark.parametrize(
    "name", ["ce_time", "traceparent", "ce_subject", "ce_sampledrate", "ce_dataschema", "other"]
)
@pytest.mark.parametrize("value", [b"\xff\xfe", b"", b"a\x00b", b"yesterday"])
def test_a_broken_header_that_we_do_not_need_costs_nothing(name: str, value: bytes) -> None:
    seen = read_record(EVENT.data, changed(name, value))

    assert (seen.id, seen.data) == (EVENT.id, EVENT.data)


def test_a_time_without_offset_is_left_out() -> None:
    assert read_record(b"{}", changed("ce_time", b"2026-11-20T10:00:00")).time is None


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "bad_json"),
        (b"{", "bad_json"),
        (b"\xff", "bad_json"),
        (b"[" * 200_000, "bad_json"),
        (b'{"data": NaN}', "bad_json"),
        (b'{"id": "\\ud800"}', "bad_json"),
        (b"[]", "bad_envelope"),
        (b"{}", "bad_envelope"),
        (b'{"specversion": "1.0", "id": 1, "source": "/u", "type": null}', "bad_envelope"),
        (
            b'{"specversion": "1.0", "id": "1", "source": "/u", "type": "t", "data_base64": "?"}',
            "bad_envelope",
        ),
        (b'{"specversion": "1.0", "id": "1", "source": "/u", "type": "t", "data_base64": 7}', "bad_envelope"),
    ],
)
def test_a_broken_envelope_is_named(value: bytes, reason: str) -> None:
    assert reason_of(value, [("content-type", b"application/cloudevents+json")]) == reason


@pytest.mark.parametrize(
    "content_type", [b"application/cloudevents+avro", b"application/cloudevents-batch+json"]
)
def test_formats_that_we_do_not_read_are_refused(content_type: bytes) -> None:
    assert reason_of(b"[]", [("content-type", content_type)]) == "bad_envelope"


@given(st.none() | st.binary() | envelopes, st.lists(st.tuples(header_names, header_values), max_size=8))
@example(b"x", [("ce_id", None)])
def test_no_record_raises_anything_but_a_contract_error(
    value: bytes | None, headers: list[tuple[str, bytes | None]]
) -> None:
    with suppress(ContractError):
        decode(ResponseRecorded, read_record(value, headers))


@given(envelopes)
def test_no_envelope_raises_anything_but_a_contract_error(value: bytes) -> None:
    with suppress(ContractError):
        read_record(value, [("content-type", b"application/cloudevents+json")])


@pytest.mark.parametrize(
    "broken",
    [
        replace(EVENT, id=""),
        replace(EVENT, source="a\nb"),
        replace(EVENT, type="\ud800"),
        replace(EVENT, time=datetime(2026, 11, 20, 10, 0)),  # noqa: DTZ001
        replace(EVENT, extensions={"Sampled-Rate": "4"}),
        replace(EVENT, extensions={"id": "2"}),
        replace(EVENT, extensions={"traceparent": TRACE}),
        replace(EVENT, extensions={"sampledrate": ""}),
        replace(EVENT, traceparent="å"),
    ],
)
def test_we_never_write_attributes_that_cloudevents_forbids(broken: Event) -> None:
    with pytest.raises(ValueError, match=r"."):
        to_headers(broken)


@pytest.mark.parametrize(
    ("data", "reason", "detail"),
    [
        (None, "no_data", "a tombstone has nothing to decode"),
        (b"", "bad_json", "the value is no JSON text"),
        (b"\xff", "bad_json", "the value is no JSON text"),
        (b'{"state": "\\ud800"}', "bad_json", "the value is no JSON text"),
        (b'{"x": ' + b"[" * 200_000, "bad_json", "the value is no JSON text"),
        (b"null", "schema", ". model_type"),
        (b'{"disruption_id": "a", "revision": "1", "state": "gone"}', "schema", SIX_ERRORS),
    ],
)
def test_an_error_tells_the_place_and_the_kind(data: bytes | None, reason: str, detail: str) -> None:
    with pytest.raises(ContractError) as caught:
        decode(DeliveryDisruption, Event(id="", source="", type="", data=data))

    assert (caught.value.reason, caught.value.detail) == (reason, detail)


def test_an_error_never_repeats_anything_from_the_record() -> None:
    canary = "astrid.exempel@brevlada.example"
    data = json.dumps(
        {"disruption_id": canary, "text": {canary: canary}, "starts_at": canary, canary: canary}
    )

    with pytest.raises(ContractError) as caught:
        decode(DeliveryDisruption, Event(id="", source="", type="", data=data.encode()))

    assert "astrid" not in str(caught.value)
    assert caught.value.__context__ is None
