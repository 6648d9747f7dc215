"""The recipient's POST as a step of the delivery's trace. It is named by its route: a path holds the token."""

import time
from typing import Final

from services.chassis.traces import Traces
from services.chassis.tracing import step_of
from services.survey.answers.recorded import Recorded

ROUTE: Final = "/r/{token}"


def tell_post(traces: Traces, recorded: Recorded, began: int) -> None:
    """Tell of a POST that came at a moment, in nanoseconds since 1970, and what became of its answer by now."""
    cause = None if recorded.about is None else recorded.about.traceparent
    if not traces.keeps(cause):
        return
    traces.tell(
        f"survey: POST {ROUTE}",
        parent=cause,
        own=step_of(cause, "post", str(began)),
        started=began,
        ended=time.time_ns(),
        kind="server",
        **{"http.request.method": "POST", "http.route": ROUTE, "kvittera.result": recorded.outcome.value},
    )
