"""One trace shows the whole way of a delivery, from the record upstream sent to the counter."""

from pathlib import Path

from tests.kvittera import kvittera
from tests.span_collector import collecting
from tests.trace_picture import drawn


def test_a_round_is_one_trace_whose_steps_hang_together(tmp_path: Path) -> None:
    with collecting() as (url, traces):
        done = kvittera(
            tmp_path,
            *("demo", "--headless", "--fresh", "--until-done", "--deliveries", "40"),
            KVITTERA_OTLP_ENDPOINT=url,
            KVITTERA_TRACE_SHARE="1",
        )
    assert done.returncode == 0, done.stdout + done.stderr

    whole = [steps for steps in traces.values() if ("kvittera-aggregator", "response") in [s.short for s in steps]]
    assert whole, "no answer was traced to its counter"
    for steps in whole:
        assert {step.short for step in steps} >= {
            ("kvittera-notifier", "delivery"),
            ("kvittera-survey", "invitation"),
            ("kvittera-aggregator", "invitation"),
            ("kvittera-aggregator", "response"),
        }
        causes = {step.span.span_id: step.short for step in steps}
        told_by = {step.short: causes.get(step.span.parent_span_id) for step in steps}
        assert told_by["kvittera-survey", "invitation"] == ("kvittera-notifier", "delivery")
        assert told_by["kvittera-aggregator", "response"] == ("kvittera-survey", "invitation")
        assert all(0 < step.span.start_time_unix_nano <= step.span.end_time_unix_nano for step in steps)
        assert drawn(steps).count("<rect") == len(steps) + 1
    named = {attribute.key for steps in traces.values() for step in steps for attribute in step.span.attributes}
    assert named == {
        "messaging.system",
        "messaging.destination.name",
        "messaging.destination.partition.id",
        "messaging.kafka.offset",
        "messaging.consumer.group.name",
    }, "nothing of a person stands in a trace"
