"""What a load run found: how many came through, and how long they took."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from services.demo.load import Load

_PERCENTILES = (50, 90, 99)


@dataclass(frozen=True, slots=True)
class Latency:
    """Percentiles in milliseconds over `n` measurements; none where nothing was measured."""

    n: int
    p50: float | None
    p90: float | None
    p99: float | None
    longest: float | None

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Latency":
        """From durations in seconds."""
        if not seconds:
            return cls(0, None, None, None, None)
        p50, p90, p99 = (round(float(v) * 1000, 1) for v in np.percentile(seconds, _PERCENTILES))
        return cls(len(seconds), p50, p90, p99, round(max(seconds) * 1000, 1))

    def line(self) -> str:
        """For people."""
        if not self.n:
            return "nothing measured"
        return f"p50 {self.p50:,.0f} ms, p90 {self.p90:,.0f} ms, p99 {self.p99:,.0f} ms, longest {self.longest:,.0f} ms"


@dataclass(frozen=True, slots=True)
class LoadReport:
    """Counts of this run's own deliveries.

    Attributes:
        rate: deliveries a second that were asked for.
        held: planned for later, as in quiet hours; they are no fault and no measurement.
        uncounted: answers that were acknowledged and not in the counters when the run ended.
    """

    rate: float
    seconds: float
    published: int
    decided: int
    asked: int
    held: int
    messages: int
    answered: int
    uncounted: int
    complete: bool
    delivery_to_message_ms: Latency
    answer_to_counter_ms: Latency

    @classmethod
    def of(cls, load: Load) -> "LoadReport":
        """The report of a run that ended."""
        seen = load.timings
        return cls(
            rate=load.upstream.rate,
            seconds=round(load.seconds, 2),
            published=load.upstream.published,
            decided=load.outcomes.decided,
            asked=load.outcomes.asked,
            held=load.outcomes.held,
            messages=seen.messages,
            answered=len(seen.answered),
            uncounted=len(seen.uncounted),
            complete=load.complete,
            delivery_to_message_ms=Latency.of(seen.to_message),
            answer_to_counter_ms=Latency.of(seen.to_counter),
        )

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        return asdict(self)

    def lines(self) -> list[str]:
        """For people."""
        came = f"{self.published} published, {self.decided} decided, {self.asked} asked, {self.answered} answered"
        told = [
            f"{came}, in {self.seconds:.1f} s at {self.rate:g} a second",
            f"delivery to message: {self.delivery_to_message_ms.line()}",
            f"answer to counter:   {self.answer_to_counter_ms.line()}",
        ]
        if self.held:
            told.append(f"{self.held} are planned for later, as in quiet hours: they are not measured")
        if not self.complete:
            told.append(
                f"NOT COMPLETE: {self.published - self.decided} not decided, {self.asked - self.messages} messages not"
                f" seen, {self.uncounted} answers not counted"
            )
        return told
