"""What each step of a message's way looked like, told to a tracing system (OpenTelemetry)."""

import re
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags

from services.chassis.settings import Settings
from services.chassis.tracing import FORM

_SAMPLED: Final = 1


class _GivenIds(IdGenerator):
    """Hands out the ids that were chosen already."""

    trace_id = 0
    span_id = 0

    def generate_span_id(self) -> int:
        return self.span_id

    def generate_trace_id(self) -> int:
        return self.trace_id


class Traces:
    """Tells steps to a tracing system; without an exporter it does nothing."""

    def __init__(self, service: str, exporter: SpanExporter | None = None, share: float = 1.0) -> None:
        self._ids = _GivenIds()
        self._provider: TracerProvider | None = None
        if exporter is not None:
            # By trace id alone, so that all services keep the same traces.
            self._provider = TracerProvider(
                sampler=TraceIdRatioBased(share),
                resource=Resource.create({"service.name": f"kvittera-{service}"}),
                id_generator=self._ids,
                shutdown_on_exit=False,
            )
            self._provider.add_span_processor(BatchSpanProcessor(exporter))

    @classmethod
    def from_settings(cls, settings: Settings, service: str) -> "Traces":
        """As the settings say; off without an address to send to."""
        if settings.otlp_endpoint is None:
            return cls(service)
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        return cls(service, OTLPSpanExporter(f"{settings.otlp_endpoint}/v1/traces", timeout=2), settings.trace_share)

    @property
    def on(self) -> bool:
        """Whether anybody listens."""
        return self._provider is not None

    def tell(
        self, name: str, *, parent: str | None, own: str, started: int, ended: int, **attributes: str | int
    ) -> None:
        """Tell one step. `parent` and `own` are trace contexts, times are nanoseconds since 1970.

        Attributes must not hold personal data; names of topics and numbers of records do not.
        """
        step = FORM.fullmatch(own)
        if self._provider is None or step is None or not int(step[3], 16) & _SAMPLED:
            return
        cause = FORM.fullmatch(parent or "")
        self._ids.trace_id, self._ids.span_id = int(step[1], 16), int(step[2], 16)
        span = self._provider.get_tracer("kvittera").start_span(
            name,
            context=_context(cause) if cause else Context(),
            kind=SpanKind.CONSUMER,
            attributes=attributes,
            start_time=started,
        )
        span.end(ended)

    def close(self) -> None:
        """Hand over what is still held."""
        if self._provider is not None:
            self._provider.shutdown()


def _context(cause: re.Match[str]) -> Context:
    span = SpanContext(int(cause[1], 16), int(cause[2], 16), is_remote=True, trace_flags=TraceFlags(_SAMPLED))
    return trace.set_span_in_context(NonRecordingSpan(span), Context())
