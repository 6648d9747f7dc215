"""What goes over the network, hop by hop: in the busiest hour, and in a year."""

from dataclasses import dataclass
from typing import Final, NamedTuple

from schemas.topics import (
    CARDS,
    DELIVERY_COMPLETED,
    INVITATION_DECIDED,
    INVITATION_PROGRESS,
    RESPONSE_RECORDED,
    SATISFACTION_CELLS,
)
from services.capacity.figures import Capacity

_OURS: Final = frozenset({"notifier", "survey", "aggregator"})


class Hop(NamedTuple):
    """Bytes of one delivery with all that follows from it, both ways, between two kinds of machines."""

    what: str
    bytes: float


@dataclass(frozen=True, slots=True)
class Network:
    """The hops of one demand. Encryption adds a few hundredths, which are not in it."""

    capacity: Capacity

    @property
    def hops(self) -> tuple[Hop, ...]:
        """All of them, each once."""
        c, m = self.capacity, self.capacity.measured
        produced = sum(self.written.values())
        pages = c.demand.asked * c.demand.answered
        database = m.send_client + c.demand.asked * m.link_client + c.events_a_delivery * m.count_client
        return (
            Hop("written to Kafka", produced),
            Hop("between brokers", produced * (c.demand.replicas - 1)),
            Hop("read from Kafka", sum(size * self.readers(topic) for topic, size in self.written.items())),
            Hop("to and from PostgreSQL", database),
            Hop("PostgreSQL's log to standbys", c.log_bytes_a_delivery * c.demand.standbys),
            Hop("pages and taps", pages * m.page_bytes),
            Hop("calls to providers", c.messages_a_delivery * m.call_bytes),
        )

    def readers(self, topic: str) -> int:
        """How often a record of the topic is read: once by each service."""
        if topic == SATISFACTION_CELLS:
            return 1  # the aggregator that publishes compares them with what is counted
        return len(_OURS & set(CARDS[topic].consumers))

    def a_second(self, hop: Hop) -> float:
        """Bytes in the busiest hour."""
        return self.capacity.deliveries_a_second * hop.bytes

    def a_year(self, hop: Hop) -> float:
        """Bytes in all of it."""
        return self.capacity.demand.deliveries_a_year * hop.bytes

    @property
    def written(self) -> dict[str, float]:
        """Bytes of a delivery by topic, before replication."""
        c, m = self.capacity, self.capacity.measured
        return {
            DELIVERY_COMPLETED: m.delivery_record,
            INVITATION_DECIDED: c.decisions_a_delivery * m.decision_record,
            INVITATION_PROGRESS: c.steps_a_delivery * m.step_record,
            RESPONSE_RECORDED: c.answers_a_delivery * m.answer_record,
            SATISFACTION_CELLS: c.events_a_delivery * m.cells_an_event * m.cell_record,
        }
