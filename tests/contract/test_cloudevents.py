"""CloudEvents over Kafka: we write what others read and read what others write."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from cloudevents.core.bindings import kafka as official
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st

from schemas.cloudevents import ContractError, Event, Stamp, read_record, to_headers

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


def structured(envelope: Mapping[str, object], content_type: bytes = b"application/cloudevents+json") -> Event:
    return read_record(json.dumps(envelope).encode(), [("content-type", content_type)])


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


@pytest.mark.parametrize(("data", "traceparent"), [(b"{}", TRACE), (b"{}", None), (None, TRACE)])
def test_a_stamp_writes_the_same_headers(data: bytes | None, traceparent: str | None) -> None:
    moment = datetime(2026, 11, 20, 18, 42, 10, 500000, tzinfo=timezone(timedelta(hours=1)))
    stamp = Stamp(source="/notifier", type="invitation.decided.v1")
    event = Event(id="e-2", source="/notifier", type="invitation.decided.v1", time=moment, data=data)
    expected = to_headers(replace(event, traceparent=traceparent))
    assert sorted(stamp("e-2", moment, traceparent, tombstone=data is None)) == sorted(expected)


@given(events)
def test_what_is_written_in_binary_mode_is_read_back_whole(event: Event) -> None:
    assert read_record(event.data, to_headers(event)) == event


@given(events.filter(lambda event: event.data is not None))
def test_the_official_sdk_reads_what_we_write(event: Event) -> None:
    written = replace(event, data=b'{"a": 1}')

    seen = official.from_binary(official.KafkaMessage(dict(to_headers(written)), None, b'{"a": 1}'), JSONFormat())

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
    seen = structured({"specversion": "1.0", "id": "1", "source": "/u", "type": "t", "data_base64": "eyJhIjogMX0="})

    assert seen.data == b'{"a": 1}'


def test_a_record_without_value_is_a_tombstone_in_binary_and_plain_mode_only() -> None:
    assert read_record(None, to_headers(EVENT)).data is None
    assert read_record(None, []).data is None
    with pytest.raises(ContractError, match="bad_envelope"):
        read_record(None, [("content-type", b"application/cloudevents+json")])


def test_a_structured_record_without_data_is_no_tombstone() -> None:
    seen = structured({"specversion": "1.0", "id": "1", "source": "/u", "type": "t"})

    assert seen.data == b"null"


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
