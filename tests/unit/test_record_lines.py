"""The lines of applied records: what each says, and that nothing is made of those left out."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka import ConsumerRecord, TopicPartition
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from services.chassis.deadletter import DeadLetter
from services.chassis.message_lines import COUNTED, DECIDED, MessageLines
from services.chassis.record_lines import RecordLines, delivery_in
from services.chassis.settings import Settings
from services.chassis.tracing import step_of
from tests.harness import record

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CAUSE = f"00-{TRACE}-00f067aa0ba902b7-01"
ABOUT = b'{"delivery": {"delivery_id": "D-7", "zone": "Europe/Stockholm"}, "score": 5}'


class Stopped:
    """A clock that stands still."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def batch(*records: ConsumerRecord) -> dict[TopicPartition, list[ConsumerRecord]]:
    found: dict[TopicPartition, list[ConsumerRecord]] = {}
    for one in records:
        found.setdefault(TopicPartition(one.topic, one.partition), []).append(one)
    return found


def told(
    lines: RecordLines,
    applied: dict[TopicPartition, list[ConsumerRecord]],
    dead: Sequence[DeadLetter] = (),
    skipped: int = 0,
    traced: Sequence[ConsumerRecord] = (),
    **more: Any,
) -> list[dict[str, Any]]:
    with capture_logs() as written:
        lines.tell_batch("g", applied, dead, skipped, 0.01234, traced, **more)
    return [dict(line) for line in written]


def test_a_line_says_where_the_record_stood_which_trace_and_which_delivery_it_is_of() -> None:
    lines = RecordLines(MessageLines(50, Stopped()), COUNTED)
    one = record("answers", 7, ABOUT, partition=3, headers=[("traceparent", CAUSE.encode())])
    assert told(lines, batch(one)) == [
        {
            "event": "counted",
            "log_level": "info",
            "trace_id": TRACE,
            "delivery_id": "D-7",
            "topic": "answers",
            "partition": 3,
            "offset": 7,
            "together": 1,
            "ms": 12.3,
        }
    ]


def test_a_record_without_a_trace_has_the_trace_that_its_step_begins() -> None:
    [line] = told(RecordLines(MessageLines(50, Stopped())), batch(record("answers", 7, b"{}")))
    assert f"-{line['trace_id']}-" in step_of(None, "g", "answers/0/7")
    assert "delivery_id" not in line


def test_a_structured_record_has_its_trace_and_its_delivery_in_the_envelope() -> None:
    envelope = {"specversion": "1.0", "id": "1", "source": "/x", "type": "t", "traceparent": CAUSE}
    value = json.dumps({**envelope, "data": json.loads(ABOUT)}).encode()
    one = record("answers", 7, value, headers=[("content-type", b"application/cloudevents+json")])
    [line] = told(RecordLines(MessageLines(50, Stopped())), batch(one))
    assert (line["trace_id"], line["delivery_id"]) == (TRACE, "D-7")


def test_what_became_of_a_delivery_stands_in_its_line() -> None:
    lines = RecordLines(MessageLines(50, Stopped()), DECIDED)
    became = {"D-7": {"outcome": "suppressed", "reason": "too_old"}}
    [line] = told(lines, batch(record("deliveries", 1, ABOUT)), became=lambda delivery: became[delivery])
    assert (line["event"], line["outcome"], line["reason"]) == ("decided", "suppressed", "too_old")


def test_what_is_put_aside_has_a_line_of_its_own_and_tombstones_have_none() -> None:
    lines = RecordLines(MessageLines(50, Stopped()), COUNTED)
    bad, good, gone = record("answers", 1, b"{"), record("answers", 2, ABOUT), record("answers", 3, None)
    found = told(lines, batch(bad, good, gone), [DeadLetter(bad, "bad_json", "secret words")], 1)
    assert [(line["event"], line["log_level"], line["offset"]) for line in found] == [
        ("put aside", "warning", 1),
        ("counted", "info", 2),
    ]
    assert (found[0]["reason"], found[0]["action"]) == ("bad_json", "dead_letter")
    assert found[0]["trace_id"]
    assert "secret" not in str(found)


def test_what_is_put_aside_is_told_also_where_no_other_line_is() -> None:
    bad, good = record("answers", 1, b"{"), record("answers", 2, ABOUT)
    found = told(RecordLines(), batch(bad, good), [DeadLetter(bad, "bad_json", "")])
    assert [line["event"] for line in found] == ["put aside"]


class Unreadable:
    """A record of a flood: whoever looks at more than where it stands has paid for a line that is not written."""

    topic, partition = "answers", 0

    def __init__(self, offset: int) -> None:
        self.offset = offset

    def __getattr__(self, name: str) -> object:
        raise AssertionError(name)


def test_nothing_is_made_of_lines_that_are_left_out_and_another_one_says_how_many() -> None:
    clock = Stopped()
    lines = RecordLines(MessageLines(2, clock), COUNTED)
    first = [record("answers", n, ABOUT) for n in range(2)]
    flood = {TopicPartition("answers", 0): [*first, *map(Unreadable, range(2, 20_000))]}
    assert [(line["offset"], line.get("left_out")) for line in told(lines, flood)] == [(0, 19_998), (1, None)]
    assert told(lines, batch(record("answers", 20_000, ABOUT))) == []
    clock.now += 1
    [line, last] = told(lines, batch(record("answers", 20_001, ABOUT), record("answers", 20_002, ABOUT)))
    assert (line["offset"], line["left_out"]) == (20_001, 1)
    assert "left_out" not in last


def test_traces_that_are_told_have_their_lines_beside_but_no_more_of_them_either() -> None:
    clock = Stopped()
    lines = RecordLines(MessageLines(2, clock), COUNTED)
    records = [record("answers", n, ABOUT) for n in range(100)]
    found = told(lines, batch(*records), traced=[records[1], *records[50:60]])
    assert [line["offset"] for line in found] == [0, 1, 50, 51]
    assert [line.get("left_out") for line in found] == [96, None, None, None]
    assert told(lines, batch(*records), traced=records[:1]) == []


def test_each_kind_has_room_of_its_own() -> None:
    lines = MessageLines(1, Stopped())
    chosen = [lines.chosen(kind, range(5), 5) for kind in ("sent", "answered", "sent")]
    assert chosen == [[0], [0], []]


@pytest.mark.parametrize(("level", "room"), [("debug", 7), ("info", 7), ("warning", 0), ("error", 0)])
def test_no_line_is_made_that_its_level_would_not_let_through(level: str, room: int) -> None:
    settings = Settings.model_validate({"log_level": level, "log_messages": 7})
    assert len(MessageLines.from_settings(settings).chosen(COUNTED, range(10), 10)) == room


@pytest.mark.parametrize(
    ("data", "delivery"),
    [
        (b'{"delivery_id": "D-1"}', "D-1"),
        (b'{"delivery_id": "D-1", "delivery": null}', "D-1"),
        (b'{"delivery": {"delivery_id": "00373500000000000017"}}', "00373500000000000017"),
        (b'{"delivery": {"delivery_id": "Maja, Storgatan 1"}}', None),
        (b'{"delivery_id": "D-1\\n"}', None),
        (b'{"delivery_id": 7}', None),
        (b"[]", None),
        (b"{", None),
        (b"\xff", None),
        (b"[" * 100_000, None),
        (None, None),
    ],
)
def test_the_delivery_is_read_from_a_message_only_where_it_is_an_id(data: bytes | None, delivery: str | None) -> None:
    assert delivery_in(data) == delivery


@given(value=st.one_of(st.none(), st.binary(), st.from_regex(rb'\{"delivery(_id)?":.*\}')), header=st.binary())
def test_no_record_whatever_it_holds_fails_its_line(value: bytes | None, header: bytes) -> None:
    one = record("answers", 7, value, headers=[("traceparent", header), ("ce_id", header), ("content-type", header)])
    found = told(RecordLines(MessageLines(50)), batch(one), [DeadLetter(one, "bad_json", "")])
    assert [line["event"] for line in found] == ["put aside"]
