"""What each step of a message's way looked like, told to a tracing system (OpenTelemetry)."""

from typing import TYPE_CHECKING, Final, Literal

from services.chassis.settings import Settings
from services.chassis.tracing import FORM

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

    from services.chassis.spans import Spans

_SAMPLED: Final = 1


class Traces:
    """Tells steps to a tracing system; without an exporter it does nothing."""

    def __init__(self, service: str, exporter: "SpanExporter | None" = None, share: float = 1.0) -> None:
        self._spans: Spans | None = None
        if exporter is not None:
            from services.chassis import spans

            self._spans = spans.Spans(service, exporter, share)

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
        return self._spans is not None

    def tell(
        self,
        name: str,
        *,
        parent: str | None,
        own: str,
        started: int,
        ended: int,
        kind: Literal["consumer", "client", "server"] = "consumer",
        **attributes: str | int,
    ) -> None:
        """Tell one step. `parent` and `own` are trace contexts, times are nanoseconds since 1970.

        Attributes must not hold personal data; names of topics and numbers of records do not.
        """
        step = FORM.fullmatch(own)
        if self._spans is None or step is None or not self.keeps(own):
            return
        self._spans.tell(name, FORM.fullmatch(parent or ""), step, started, ended, attributes, kind)

    def keeps(self, context: str | None) -> bool:
        """Whether steps of a trace are told: somebody listens, upstream samples it, and it is in the share."""
        if self._spans is None or (step := FORM.fullmatch(context or "")) is None:
            return False
        return bool(int(step[3], 16) & _SAMPLED) and self._spans.keeps(int(step[1], 16))

    def close(self) -> None:
        """Hand over what is still held."""
        if self._spans is not None:
            self._spans.close()
