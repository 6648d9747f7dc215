import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from services.chassis.settings import Settings
from services.chassis.traces import Traces
from services.chassis.tracing import new_traceparent, step_of, trace_id_of, traceparent_in

FORM = r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}"
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_step_keeps_the_trace_and_the_flags_and_gets_a_span_of_its_own() -> None:
    step = step_of(PARENT, "notifier", "delivery.completed.v1/0/7")
    assert step.startswith("00-4bf92f3577b34da6a3ce929d0e0e4736-")
    assert step.endswith("-01")
    assert len(step) == 55
    assert step[36:52] != "00f067aa0ba902b7"
    assert step_of(PARENT.removesuffix("1") + "0", "notifier", "t/0/7").endswith("-00")


def test_the_same_step_always_has_the_same_context_and_another_one_another() -> None:
    step = step_of(PARENT, "notifier", "t/0/7")
    assert step_of(PARENT, "notifier", "t/0/7") == step
    assert step_of(PARENT, "survey", "t/0/7") != step
    assert step_of(PARENT, "notifier", "t/0/8") != step
    assert step_of(None, "notifier", "t/0/7")[:35] == step_of(None, "survey", "t/0/7")[:35]


@pytest.mark.parametrize(
    "broken",
    [
        None,
        "",
        "nonsense",
        PARENT + "\n",
        PARENT.upper(),
        PARENT + "-more",
        "ff" + PARENT[2:],
        "00-" + "0" * 32 + "-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-" + "0" * 16 + "-01",
        PARENT + "\r\nx: y",
    ],
)
def test_a_broken_context_starts_a_new_trace(broken: str | None) -> None:
    step = step_of(broken, "notifier", "t/0/7")
    assert len(step) == 55
    assert "4bf92f3577b34da6" not in step
    assert step == step.strip()


@given(st.text(), st.text())
def test_a_step_is_well_formed_whatever_came_in(text: str, record: str) -> None:
    assert re.fullmatch(FORM, step_of(text, "notifier", record.encode("utf-8", "replace").decode()))


def test_the_context_is_found_among_strange_headers() -> None:
    assert traceparent_in([("ce_id", b"1"), ("traceparent", None), ("traceparent", PARENT.encode())]) == PARENT
    assert traceparent_in([("traceparent", b"\xff")]) == "\ufffd"
    assert traceparent_in([]) is None


def test_new_contexts_differ_and_are_sampled() -> None:
    assert new_traceparent() != new_traceparent()
    assert new_traceparent().endswith("-01")


def told(*steps: tuple[str | None, str], share: float = 1.0) -> tuple[ReadableSpan, ...]:
    kept = InMemorySpanExporter()
    traces = Traces("survey", kept, share)
    for cause, own in steps:
        traces.tell("survey: t", parent=cause, own=own, started=1_000, ended=3_000, offset=7)
    traces.close()
    return kept.get_finished_spans()


def test_a_step_is_told_with_the_ids_that_its_outbox_rows_carry() -> None:
    own = step_of(PARENT, "survey", "t/0/7")
    [span] = told((PARENT, own))
    assert f"{span.context.trace_id:032x}" == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert f"{span.context.span_id:016x}" == own[36:52]
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == "00f067aa0ba902b7"
    assert (span.start_time, span.end_time) == (1_000, 3_000)
    assert span.attributes == {"offset": 7}
    assert span.resource.attributes["service.name"] == "kvittera-survey"


def test_a_step_without_a_cause_begins_its_trace() -> None:
    own = step_of(None, "survey", "t/0/7")
    [span] = told((None, own))
    assert span.parent is None
    assert f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-01" == own


def test_what_upstream_does_not_sample_is_not_told_and_neither_is_a_trace_outside_the_share() -> None:
    unsampled = PARENT.removesuffix("1") + "0"
    assert told((unsampled, step_of(unsampled, "survey", "t/0/7"))) == ()
    assert told((PARENT, step_of(PARENT, "survey", "t/0/7")), share=0.0) == ()


@given(trace_id=st.from_regex(r"\A(?!0{32})[0-9a-f]{32}\Z"), share=st.sampled_from([0.0, 0.01, 0.5, 1.0]))
def test_a_trace_is_kept_if_and_only_if_its_steps_are_told(trace_id: str, share: float) -> None:
    context = f"00-{trace_id}-00f067aa0ba902b7-01"
    traces = Traces("survey", InMemorySpanExporter(), share)
    assert traces.keeps(context) == bool(told((None, context), share=share))
    assert not traces.keeps(context.removesuffix("1") + "0")
    assert not traces.keeps(None)
    traces.close()


def test_a_step_is_of_the_kind_that_was_told() -> None:
    kept = InMemorySpanExporter()
    traces = Traces("notifier", kept)
    for kind in ("consumer", "client", "server"):
        traces.tell("x", parent=PARENT, own=step_of(PARENT, "x", kind), started=1, ended=2, kind=kind)
    traces.close()
    assert [span.kind for span in kept.get_finished_spans()] == [SpanKind.CONSUMER, SpanKind.CLIENT, SpanKind.SERVER]


def test_the_trace_of_a_context_is_known_by_its_id() -> None:
    assert trace_id_of(PARENT) == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert [trace_id_of(None), trace_id_of("nonsense")] == [None, None]


def test_without_an_address_nothing_is_told() -> None:
    traces = Traces.from_settings(Settings(), "survey")
    assert traces.on is traces.keeps(PARENT) is False
    traces.tell("x", parent=None, own=PARENT, started=1, ended=2)
    traces.close()
