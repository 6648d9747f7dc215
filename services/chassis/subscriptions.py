"""A topic that a service reads through the fence: one reader for each, made alike."""

from dataclasses import dataclass, field
from typing import TypeVar

from schemas.contract import Contract
from schemas.topics import CARDS
from services.chassis.consumer import Reader
from services.chassis.fence import Apply, Fence
from services.chassis.kafka import membership
from services.chassis.meanings import Decode
from services.chassis.message_lines import HEARD, MessageLines
from services.chassis.metrics import Metrics
from services.chassis.postgres import Pool
from services.chassis.record_lines import RecordLines
from services.chassis.records import Received, reading
from services.chassis.settings import Settings
from services.chassis.traces import Traces

M = TypeVar("M", bound=Contract)


@dataclass(frozen=True, slots=True)
class Subscriptions:
    """What all readers of one service process share; `port` tells its processes on one machine apart."""

    settings: Settings
    service: str
    port: int
    pool: Pool
    metrics: Metrics
    traces: Traces
    lines: MessageLines = field(default_factory=lambda: MessageLines(0))

    def reader(
        self,
        topic: str,
        group: str,
        model: type[M],
        apply: Apply[Received[M]],
        kind: str = HEARD,
        decode: Decode[Received[M]] | None = None,
    ) -> Reader[Received[M]]:
        """A reader of one topic; what breaks its contract goes to the topic's dead letters.

        `kind` is what the lines of its records say; `decode` asks more of a record than its contract does.
        """
        fence = Fence(
            pool=self.pool,
            service=self.service,
            group=group,
            decode=decode or reading(model, group),
            apply=apply,
            dead_letter_topics={topic: str(CARDS[topic].dead_letter)},
            metrics=self.metrics,
            traces=self.traces,
            lines=RecordLines(self.lines, kind),
        )
        return Reader(self.settings, fence, [topic], membership(self.settings, self.service, self.port))
