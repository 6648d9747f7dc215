"""The picture of a trace: a bar for each step in the order of their start, long waits skipped and told."""

import re

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.span_collector import Step
from tests.trace_picture import Scale, drawn, stretches

MS = 1_000_000


def step(number: int, service: str, topic: str, start_ms: int, end_ms: int, cause: int = 0) -> Step:
    return Step(
        f"kvittera-{service}",
        Span(
            name=f"{service}: {topic}",
            span_id=number.to_bytes(8),
            parent_span_id=cause.to_bytes(8) if cause else b"",
            start_time_unix_nano=start_ms * MS,
            end_time_unix_nano=end_ms * MS,
        ),
    )


STEPS = [
    step(3, "aggregator", "response.recorded.v1", 5_030, 5_040, cause=2),
    step(1, "notifier", "delivery.completed.v1", 1_000, 1_010),
    step(2, "survey", "invitation.decided.v1", 1_020, 1_030, cause=1),
]


def test_waits_of_more_than_a_tenth_of_a_second_are_skipped_and_shorter_ones_drawn() -> None:
    assert stretches(STEPS) == [(1_000 * MS, 1_030 * MS), (5_030 * MS, 5_040 * MS)]
    assert drawn(STEPS).count("4.0 s pass") == 1


def test_time_goes_from_left_to_right_at_one_scale() -> None:
    scale = Scale(stretches(STEPS))
    moments = [scale.at(ms * MS) for ms in (1_000, 1_010, 1_030, 5_030, 5_040)]
    assert moments == sorted(moments)
    assert round(moments[1] - moments[0], 6) == round(moments[4] - moments[3], 6)


def test_each_step_is_a_bar_with_its_length_and_a_line_from_its_cause() -> None:
    picture = drawn(STEPS)
    assert re.findall(r">(\w+)</text>\n<text[^>]*>([a-z.0-9]+)</text>", picture) == [
        ("notifier", "delivery.completed.v1"),
        ("survey", "invitation.decided.v1"),
        ("aggregator", "response.recorded.v1"),
    ]
    assert picture.count("10.0 ms") == 3
    assert picture.count("<path") == 2
