"""A collector of traces in this process: takes OpenTelemetry's spans over HTTP and keeps them."""

import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

_SERVICE = "service.name"


@dataclass(frozen=True, slots=True)
class Step:
    """A span as it came, and the service that told it."""

    service: str
    span: Span

    @property
    def short(self) -> tuple[str, str]:
        """The service and the kind of record it took."""
        return self.service, self.span.name.rpartition(": ")[2].partition(".")[0]


@contextmanager
def collecting() -> Iterator[tuple[str, Mapping[str, list[Step]]]]:
    """The collector's address, and the steps of each trace as they come in."""
    traces: dict[str, list[Step]] = defaultdict(list)

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                service = next(a.value.string_value for a in resource.resource.attributes if a.key == _SERVICE)
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        traces[span.trace_id.hex()].append(Step(service, span))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name is the library's
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", traces
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
