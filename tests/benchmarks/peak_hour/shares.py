"""A run by its parts: what one delivery, answer or event took, and the inputs of the arithmetic that follow."""

from dataclasses import dataclass

from schemas.topics import INVITATION_DECIDED, RESPONSE_RECORDED, SATISFACTION_CELLS
from services.demo.supervisor import SERVICES
from tests.benchmarks.peak_hour.place import OTHERS
from tests.benchmarks.peak_hour.running import Ran

_ANSWERS = (
    "survey.response",
    "survey.comment_index",
    "survey.comment_place",
    "survey.feedback_case",
    "survey.case_entry",
    "survey.praise",
    "survey.review_offer",
    "survey.contact_wish",
    "aggregator.answer",
    "notifier.answered",
)
"""Tables of answers begin so."""
_REQUESTS = ("notifier.invitation", "notifier.open_send")
_LINKS = ("survey.invitation", "notifier.person_key", "survey.person_key")
_DECISIONS = ("notifier.decision", "aggregator.decision")


@dataclass(frozen=True, slots=True)
class Found:
    """Figures of one run."""

    ran: Ran

    @property
    def deliveries(self) -> int:
        """Decided."""
        return self.ran.counts["deliveries"]

    @property
    def asked(self) -> int:
        """Requests that were made."""
        return self.ran.counts["asked"]

    @property
    def answered(self) -> int:
        """People who answered."""
        return self.ran.counts["answered"]

    @property
    def pages(self) -> int:
        """Pages opened."""
        return self.ran.counts["pages"]

    @property
    def decisions(self) -> int:
        """Told."""
        return self.ran.records[INVITATION_DECIDED]

    @property
    def taps(self) -> int:
        """Answers told, revisions included."""
        return self.ran.records[RESPONSE_RECORDED]

    @property
    def events(self) -> int:
        """Counted."""
        return self.decisions + self.taps

    @property
    def cells(self) -> int:
        """Published."""
        return self.ran.records[SATISFACTION_CELLS]

    def record(self, topic: str) -> float:
        """Bytes of one on the broker's disk."""
        return self.ran.log_bytes.get(topic, 0) / max(1, self.ran.records.get(topic, 0))

    @property
    def cell_record(self) -> float:
        """Bytes of one cell there."""
        return self.record(SATISFACTION_CELLS)

    @property
    def decision_bytes(self) -> float:
        """In PostgreSQL."""
        return self._tables(_DECISIONS) / self.deliveries

    @property
    def request_bytes(self) -> float:
        """In the notifier's tables, with the reminder that is planned as soon as it has left."""
        return self._tables(_REQUESTS) / self.asked

    @property
    def link_bytes(self) -> float:
        """What is kept of a request elsewhere."""
        return self._tables(_LINKS) / self.asked

    @property
    def answer_bytes(self) -> float:
        """Of each who answered, revisions and comments included."""
        return self._tables(_ANSWERS) / self.answered

    @property
    def outbox_bytes(self) -> float:
        """Of a row."""
        return self._tables(("notifier.outbox", "survey.outbox")) / self.ran.counts["outbox"]

    def _tables(self, beginnings: tuple[str, ...]) -> int:
        waiting = "outbox_waiting"
        return sum(n for name, n in self.ran.table_bytes.items() if name.startswith(beginnings) and waiting not in name)

    def wal(self, service: str, among: int) -> float:
        """Write-ahead log of a service's own connections, shared out."""
        return self.ran.wal_bytes[service] / among

    def client(self, service: str, among: int) -> float:
        """Bytes between a service and PostgreSQL, both ways, shared out."""
        return sum(self.ran.hops[f"{service} to PostgreSQL"].values()) / among

    @property
    def page_bytes(self) -> float:
        """Of a page with its taps, both ways."""
        return sum(self.ran.hops[f"{OTHERS} to survey"].values()) / self.pages

    @property
    def call_bytes(self) -> float:
        """Of a call to the provider, both ways."""
        return sum(self.ran.hops["notifier to provider"].values()) / self.ran.counts["messages"]

    @property
    def to_kafka(self) -> int:
        """Bytes that all sent to Kafka, requests for more to read included."""
        return sum(self.ran.hops[f"{name} to Kafka"]["sent"] for name in (*SERVICES, OTHERS))

    @property
    def from_kafka(self) -> int:
        """Bytes that the services got from Kafka, acknowledgements included."""
        return sum(self.ran.hops[f"{name} to Kafka"]["received"] for name in SERVICES)

    def inputs(self) -> dict[str, float]:
        """The inputs of the arithmetic that come from such a run."""
        return {
            "cell_record": round(self.cell_record),
            "cells_an_event": round(self.cells / self.events, 1),
            "send_wal": round(self.wal("notifier", self.deliveries)),
            "link_wal": round(self.wal("survey", self.asked)),
            "count_wal": round(self.wal("aggregator", self.events)),
            "send_client": round(self.client("notifier", self.deliveries)),
            "link_client": round(self.client("survey", self.asked)),
            "count_client": round(self.client("aggregator", self.events)),
            "page_bytes": round(self.page_bytes),
            "call_bytes": round(self.call_bytes),
            "postgres_us": round(1e6 * self.ran.cpu["PostgreSQL"] / self.deliveries),
            "kafka_us": round(1e6 * self.ran.cpu["Kafka"] / self.deliveries),
        }


def found_in(ran: Ran) -> Found:
    """The figures of a run.

    Raises:
        ValueError: nothing was delivered, asked or answered in it.
    """
    found = Found(ran)
    if not (found.deliveries and found.asked and found.answered and found.pages):
        raise ValueError("nothing happened in the run")
    return found
