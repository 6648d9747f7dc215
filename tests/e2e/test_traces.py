"""One trace shows the whole way of a delivery, from the record upstream sent to the counter."""

import threading
from collections import defaultdict
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.kvittera import kvittera

Step = tuple[str, str]
"""Service and name of a span."""


@pytest.fixture
def collector() -> Iterator[tuple[str, dict[str, list[tuple[str, Span]]]]]:
    """A collector that takes traces over HTTP; spans by trace, each with its service."""
    traces: dict[str, list[tuple[str, Span]]] = defaultdict(list)

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                service = next(a.value.string_value for a in resource.resource.attributes if a.key == "service.name")
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        traces[span.trace_id.hex()].append((service, span))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name is the library's
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", traces
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_round_is_one_trace_whose_steps_hang_together(
    tmp_path: Path, collector: tuple[str, dict[str, list[tuple[str, Span]]]]
) -> None:
    url, traces = collector
    done = kvittera(
        tmp_path,
        *("demo", "--headless", "--fresh", "--until-done", "--deliveries", "40"),
        KVITTERA_OTLP_ENDPOINT=url,
        KVITTERA_TRACE_SHARE="1",
    )
    assert done.returncode == 0, done.stdout + done.stderr

    whole = [spans for spans in traces.values() if ("kvittera-aggregator", "response") in map(short, spans)]
    assert whole, "no answer was traced to its counter"
    for spans in whole:
        steps = {short(step) for step in spans}
        assert steps >= {
            ("kvittera-notifier", "delivery"),
            ("kvittera-survey", "invitation"),
            ("kvittera-aggregator", "invitation"),
            ("kvittera-aggregator", "response"),
        }
        causes = {span.span_id: short((service, span)) for service, span in spans}
        told_by = {short((service, span)): causes.get(span.parent_span_id) for service, span in spans}
        assert told_by["kvittera-survey", "invitation"] == ("kvittera-notifier", "delivery")
        assert told_by["kvittera-aggregator", "response"] == ("kvittera-survey", "invitation")
        assert all(0 < span.start_time_unix_nano <= span.end_time_unix_nano for _, span in spans)
    named = {attribute.key for spans in traces.values() for _, span in spans for attribute in span.attributes}
    assert named == {
        "messaging.system",
        "messaging.destination.name",
        "messaging.destination.partition.id",
        "messaging.kafka.offset",
        "messaging.consumer.group.name",
    }, "nothing of a person stands in a trace"


def short(step: tuple[str, Span]) -> Step:
    """The service and the kind of record it took."""
    service, span = step
    return service, span.name.rpartition(": ")[2].partition(".")[0]
