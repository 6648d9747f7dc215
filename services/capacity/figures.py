"""Records, processes, partitions and disk of a year: arithmetic on what was measured."""

import math
from dataclasses import dataclass
from typing import Final

from services.capacity.demand import Demand
from services.capacity.measured import Measured

_SECONDS_AN_HOUR: Final = 3_600
_DAYS: Final = 365
_WEEKS: Final = 53


@dataclass(frozen=True, slots=True)
class Capacity:
    """The figures of one demand."""

    demand: Demand
    measured: Measured

    @property
    def deliveries_a_second(self) -> float:
        """In the busiest hour of the year."""
        day = self.demand.deliveries_a_year / _DAYS * self.demand.peak_day
        return day * self.demand.peak_hour / _SECONDS_AN_HOUR

    @property
    def messages_a_delivery(self) -> float:
        """Messages that leave: the request, and the reminder of who has not answered."""
        return self.demand.asked * (1 + self.demand.reminded)

    @property
    def messages_a_second(self) -> float:
        """In that hour, as many reminders of earlier days among them as requests will get."""
        return self.deliveries_a_second * self.messages_a_delivery

    @property
    def decisions_a_delivery(self) -> float:
        """Records on invitation.decided.v1: one when it is decided, one when the request has left."""
        return 1 + self.demand.asked

    @property
    def steps_a_delivery(self) -> float:
        """Records on invitation.progress.v1."""
        return self.demand.asked * self.demand.steps

    @property
    def answers_a_delivery(self) -> float:
        """Durable answers, revisions included."""
        return self.demand.asked * self.demand.answered * self.demand.revisions

    @property
    def events_a_delivery(self) -> float:
        """What aggregators count."""
        return self.decisions_a_delivery + self.steps_a_delivery + self.answers_a_delivery

    @property
    def answers_a_second(self) -> float:
        """Durable answers in the busiest hour."""
        return self.deliveries_a_second * self.answers_a_delivery

    @property
    def events_a_second(self) -> float:
        """What aggregators count in that hour."""
        return self.deliveries_a_second * self.events_a_delivery

    @property
    def notifiers(self) -> int:
        """Processes that decide and send; a reminder is taken for as much work as a delivery."""
        return self._processes(max(self.deliveries_a_second, self.messages_a_second), self.measured.sent_a_second)

    @property
    def surveys(self) -> int:
        """Processes that take answers; what was measured is already half of what one can."""
        return self._processes(self.answers_a_second, self.measured.answers_a_second / self.demand.used)

    @property
    def aggregators(self) -> int:
        """Processes that count."""
        return self._processes(self.events_a_second, self.measured.counted_a_second)

    @property
    def partitions(self) -> int:
        """Partitions of each topic: room for twice the readers, in steps of six."""
        return 6 * math.ceil(2 * max(self.notifiers, self.aggregators) / 6)

    @property
    def database_bytes_a_delivery(self) -> float:
        """What a delivery leaves in PostgreSQL, nothing deleted, without cells and outboxes."""
        m, d = self.measured, self.demand
        request = m.request_bytes + d.reminded * m.reminder_bytes + m.link_bytes
        return m.decision_bytes + d.asked * (request + d.answered * m.answer_bytes)

    @property
    def database_bytes_a_year(self) -> float:
        """The same of a year."""
        return self.demand.deliveries_a_year * self.database_bytes_a_delivery

    @property
    def cells_a_year(self) -> float:
        """Cells that a year adds: hours in which a unit has deliveries, its days, weeks, months and the whole."""
        d = self.demand
        return d.units * (_DAYS * d.hours_a_day + _DAYS + _WEEKS + 12 + 1)

    @property
    def mirror_bytes_after_a_year(self) -> float:
        """Memory of each aggregator that compares the published cells with the counted ones."""
        return self.cells_a_year * self.measured.mirror_bytes

    @property
    def log_bytes_a_delivery(self) -> float:
        """Write-ahead log of all three services, counting in small batches."""
        m = self.measured
        return m.send_wal + self.demand.asked * m.link_wal + self.events_a_delivery * m.count_wal

    @property
    def log_bytes_a_second(self) -> float:
        """The same in the busiest hour."""
        return self.deliveries_a_second * self.log_bytes_a_delivery

    @property
    def outbox_rows_a_delivery(self) -> float:
        """Rows that a delivery leaves in the outboxes: what is decided, and what is answered."""
        return self.decisions_a_delivery + self.steps_a_delivery + self.answers_a_delivery

    @property
    def outbox_rows(self) -> float:
        """Published rows that three days of the busiest kind leave in the outboxes."""
        return 3 * self.demand.deliveries_a_year / _DAYS * self.demand.peak_day * self.outbox_rows_a_delivery

    @property
    def outbox_bytes(self) -> float:
        """What the outboxes hold on the busiest days."""
        return self.outbox_rows * self.measured.outbox_bytes

    @property
    def kafka_bytes_kept(self) -> float:
        """What Kafka keeps of one replica: deliveries 7 days, decisions, steps and answers 400; cells are compacted."""
        m = self.measured
        told = (
            self.decisions_a_delivery * m.decision_record
            + self.steps_a_delivery * m.step_record
            + self.answers_a_delivery * m.answer_record
        )
        return self.demand.deliveries_a_year / _DAYS * (7 * m.delivery_record + 400 * told)

    def _processes(self, wanted: float, most: float) -> int:
        """At least two, since one may be lost."""
        return max(2, math.ceil(wanted / (most * self.demand.used)))
