"""Records come in every shape that Kafka allows: what we cannot use is a ContractError that says why, no more."""

import json
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.cloudevents import ContractError, Event, decode, read_record, to_headers
from schemas.disruption import DeliveryDisruption
from schemas.response import ResponseRecorded

EVENT = Event(
    id="e-1",
    source="/notifier",
    type="invitation.decided.v1",
    data=b'{"a": 1}',
)
SIX_ERRORS = "revision int_type; state enum; kind missing; areas missing; starts_at missing; and 1 more"
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
    st.sampled_from(["id", "source", "type", "specversion", "time", "data", "data_base64", "subject", "traceparent"]),
    json_values | st.sampled_from(["1.0", "e-1", "aGVq", "2026-11-20T10:00:00Z"]),
).map(lambda envelope: json.dumps(envelope).encode())


def reason_of(value: bytes | None, headers: list[tuple[str, bytes | None]]) -> str:
    with pytest.raises(ContractError) as caught:
        read_record(value, headers)
    return caught.value.reason


def changed(name: str, value: bytes | None) -> list[tuple[str, bytes | None]]:
    """Return the headers of EVENT with one changed, or taken away where the value is None."""
    kept: list[tuple[str, bytes | None]] = [pair for pair in to_headers(EVENT) if pair[0] != name]
    return kept if value is None else [*kept, (name, value)]


@pytest.mark.parametrize("name", ["ce_id", "ce_source", "ce_type", "ce_specversion"])
@pytest.mark.parametrize("value", [None, b"", b"\xff\xfe", b"a\x00b"])
def test_a_required_header_that_is_missing_or_broken_is_named(name: str, value: bytes | None) -> None:
    assert reason_of(b"{}", changed(name, value)) == "bad_header"


def test_another_version_of_cloudevents_is_refused() -> None:
    assert reason_of(b"{}", changed("ce_specversion", b"0.3")) == "bad_header"


@pytest.mark.parametrize("name", ["ce_time", "traceparent", "ce_subject", "ce_sampledrate", "ce_dataschema", "other"])
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


@pytest.mark.parametrize("content_type", [b"application/cloudevents+avro", b"application/cloudevents-batch+json"])
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
    data = json.dumps({"disruption_id": canary, "text": {canary: canary}, "starts_at": canary, canary: canary})

    with pytest.raises(ContractError) as caught:
        decode(DeliveryDisruption, Event(id="", source="", type="", data=data.encode()))

    assert "astrid" not in str(caught.value)
    assert caught.value.__context__ is None
