"""Spans with ids that were chosen already, by OpenTelemetry. Imported only where somebody listens: it is large."""

import re

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags

_SAMPLED = 1


class _GivenIds(IdGenerator):
    """Hands out the ids that were chosen already."""

    trace_id = 0
    span_id = 0

    def generate_span_id(self) -> int:
        return self.span_id

    def generate_trace_id(self) -> int:
        return self.trace_id


class Spans:
    """Tells spans to an exporter; `share` of all traces, by trace id alone, so that all services keep the same ones."""

    def __init__(self, service: str, exporter: SpanExporter, share: float) -> None:
        self._ids = _GivenIds()
        self._share = TraceIdRatioBased(share)
        self._provider = TracerProvider(
            sampler=self._share,
            resource=Resource.create({"service.name": f"kvittera-{service}"}),
            id_generator=self._ids,
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(BatchSpanProcessor(exporter))

    def keeps(self, trace_id: int) -> bool:
        """Whether a trace is in the share."""
        return trace_id & self._share.TRACE_ID_LIMIT < self._share.bound

    def tell(
        self,
        name: str,
        cause: re.Match[str] | None,
        step: re.Match[str],
        started: int,
        ended: int,
        attributes: dict[str, str | int],
        kind: str,
    ) -> None:
        """Tell a span; `cause` and `step` are trace contexts in parts, times are nanoseconds since 1970.

        `kind` is one of OpenTelemetry's kinds of spans.
        """
        self._ids.trace_id, self._ids.span_id = int(step[1], 16), int(step[2], 16)
        span = self._provider.get_tracer("kvittera").start_span(
            name,
            context=_context(cause) if cause else Context(),
            kind=SpanKind[kind.upper()],
            attributes=attributes,
            start_time=started,
        )
        span.end(ended)

    def close(self) -> None:
        """Hand over what is still held."""
        self._provider.shutdown()


def _context(cause: re.Match[str]) -> Context:
    span = SpanContext(int(cause[1], 16), int(cause[2], 16), is_remote=True, trace_flags=TraceFlags(_SAMPLED))
    return trace.set_span_in_context(NonRecordingSpan(span), Context())
