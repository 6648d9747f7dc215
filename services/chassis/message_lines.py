"""One line in the log for each message that was handled: what became of it, its trace and its delivery.

In a flood only the first of each second have their line, and a line says how many were left out before it. So a caller
asks first, and makes nothing of what is left out: a line takes about 0.1 ms, a batch without any 3 µs. Traces that go
to a tracing system have room of their own, of the same size. No line holds anything of a person.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Final, TypeVar

import structlog

from services.chassis.line_pace import LinePace
from services.chassis.settings import Settings
from services.chassis.tracing import trace_id_of

log = structlog.get_logger()
M = TypeVar("M")

DECIDED: Final = "decided"
WITHHELD: Final = "withheld"
SENT: Final = "sent"
LEARNED: Final = "learned"
ANSWERED: Final = "answered"
COUNTED: Final = "counted"
FOLLOWED_UP: Final = "followed up"
HEARD: Final = "heard"
"""For what stands beside a delivery's way: wishes, disruptions, corrections and the like."""
PUT_ASIDE: Final = "put aside"
_MOST_PUT_ASIDE: Final = 50
"""Lines a second of what was put aside, however few others may be written: each is somebody's work."""
_MS: Final = 1000


class MessageLines:
    """Writes lines of messages, of each kind no more than `most` in a second; `clock` never goes back."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.most = most
        self._clock = clock
        self._paces: dict[str, LinePace] = {}
        self._paces_of_traced: dict[str, LinePace] = {}

    @classmethod
    def from_settings(cls, settings: Settings) -> "MessageLines":
        """As the settings say; none where lines of this level are not written."""
        return cls(settings.log_messages if settings.log_level in {"debug", "info"} else 0)

    def chosen(
        self, kind: str, messages: Iterable[M], many: int, traced: Callable[[M], bool] | None = None
    ) -> Sequence[M]:
        """Of so `many` messages those whose lines may be written now; the others are left out, and not looked at.

        They are the first ones and, where a tracing system listens, as many of those that are `traced`.
        """
        rest = iter(messages)
        now, pace = self._clock(), self._pace(self._paces, kind)
        chosen = [*islice(rest, pace.take(many, now))]
        if traced is None or len(chosen) == many:
            return chosen
        beside = [*islice(filter(traced, rest), self.most)]
        allowed = self._pace(self._paces_of_traced, kind).take(len(beside), now)
        pace.left_out -= allowed
        return chosen + beside[:allowed]

    def tell(self, kind: str, traceparent: str | None, seconds: float, /, **facts: str | int | None) -> None:
        """Write a line for which there is room; facts that are None are not known.

        Facts must not hold personal data: words of ours, numbers, and ids of deliveries.
        """
        known = {name: fact for name, fact in facts.items() if fact is not None}
        pace = self._pace(self._paces, kind)
        if pace.left_out:
            known["left_out"], pace.left_out = pace.left_out, 0
        if (trace_id := trace_id_of(traceparent)) is not None:
            known["trace_id"] = trace_id
        write = log.warning if kind == PUT_ASIDE else log.info
        write(kind, ms=round(seconds * _MS, 1), **known)

    def _pace(self, paces: dict[str, LinePace], kind: str) -> LinePace:
        if kind not in paces:
            paces[kind] = LinePace(max(self.most, _MOST_PUT_ASIDE) if kind == PUT_ASIDE else self.most)
        return paces[kind]
