"""What a year of deliveries takes: records, processes, partitions and disk, from measured figures.

Every figure is arithmetic on `Measured`, whose values docs/performance.md and docs/scale.md give with how they
were measured. They are of two shared cores: measure on your own machines and put your values in.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_SECONDS_AN_HOUR: Final = 3_600
_DAYS: Final = 365
_WEEKS: Final = 53
"""Counters of a cell are PostgreSQL's `int`."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What a carrier expects.

    Attributes:
        deliveries_a_year: all of them, asked about or not.
        peak_day: the busiest day of the year, as a multiple of the mean day.
        peak_hour: share of a day's deliveries in its busiest hour.
        asked, answered: share of deliveries asked about, and of those asked who answer.
        revisions: records told of one answer, the first tap included.
        units: values of all cuts together, such as terminals, routes and merchants.
        hours_a_day: hours of a day in which a unit has deliveries.
    """

    deliveries_a_year: float
    peak_day: float = 2.5
    peak_hour: float = 0.12
    asked: float = 0.8
    answered: float = 0.15
    revisions: float = 1.5
    units: float = 10_000
    hours_a_day: float = 10


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured, of one process or one thing.

    Attributes:
        counted_a_second: events one aggregator counts while it catches up.
        answers_a_second: durable answers one survey process takes at half of its most, p99 under 100 ms.
        deliveries_a_second: deliveries that one notifier decides and hands to an HTTP gateway that takes 20 ms.
        decision_bytes, request_bytes, answer_bytes: what stays in PostgreSQL of each, in all three services, with
            indexes and after VACUUM FULL; a request with its reminder, an answer with comment, praise and case.
        delivery_record, decision_record, answer_record: bytes of one record on its topic, headers included.
        outbox_bytes: of one row, indexes included.
        mirror_bytes: memory in which an aggregator remembers the published version of one cell.
        wal_bytes: write-ahead log of one event counted.
        used: share of the most that is planned for, so that a burst or a lost process can be caught up.
    """

    counted_a_second: float = 9_051
    answers_a_second: float = 1_028
    deliveries_a_second: float = 516
    decision_bytes: float = 490
    request_bytes: float = 5_842
    answer_bytes: float = 821
    outbox_bytes: float = 1_413
    delivery_record: float = 802
    decision_record: float = 1_309
    answer_record: float = 1_239
    mirror_bytes: float = 154
    wal_bytes: float = 1_204
    used: float = 0.5


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
    def decisions_a_second(self) -> float:
        """Records on invitation.decided.v1 in that hour: one when it is decided, one when the request has left."""
        return self.deliveries_a_second * (1 + self.demand.asked)

    @property
    def answers_a_second(self) -> float:
        """Durable answers in that hour, revisions included."""
        return self.deliveries_a_second * self.demand.asked * self.demand.answered * self.demand.revisions

    @property
    def events_a_second(self) -> float:
        """What aggregators count in that hour."""
        return self.decisions_a_second + self.answers_a_second

    @property
    def notifiers(self) -> int:
        """Processes that decide and send."""
        return self._processes(self.deliveries_a_second, self.measured.deliveries_a_second)

    @property
    def surveys(self) -> int:
        """Processes that take answers."""
        return self._processes(self.answers_a_second, self.measured.answers_a_second / self.measured.used)

    @property
    def aggregators(self) -> int:
        """Processes that count."""
        return self._processes(self.events_a_second, self.measured.counted_a_second)

    @property
    def partitions(self) -> int:
        """Partitions of each topic: room for twice the readers, in steps of six."""
        return 6 * math.ceil(2 * max(self.notifiers, self.aggregators) / 6)

    @property
    def database_bytes_a_year(self) -> float:
        """What a year leaves in PostgreSQL, nothing deleted."""
        m, d = self.measured, self.demand
        return d.deliveries_a_year * (m.decision_bytes + d.asked * (m.request_bytes + d.answered * m.answer_bytes))

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
    def outbox_bytes(self) -> float:
        """What the outboxes hold on the busiest days."""
        return self.outbox_rows * self.measured.outbox_bytes

    @property
    def log_bytes_a_second(self) -> float:
        """Write-ahead log of counting in the busiest hour."""
        return self.events_a_second * self.measured.wal_bytes

    @property
    def kafka_bytes_a_second(self) -> float:
        """Written to Kafka in the busiest hour, before replication and without cells."""
        m = self.measured
        return (
            self.deliveries_a_second * m.delivery_record
            + self.decisions_a_second * m.decision_record
            + self.answers_a_second * m.answer_record
        )

    @property
    def kafka_bytes_kept(self) -> float:
        """What Kafka keeps of one replica: deliveries 7 days, decisions and answers 400."""
        m, d = self.measured, self.demand
        a_day = d.deliveries_a_year / _DAYS
        decisions = (1 + d.asked) * m.decision_record
        answers = d.asked * d.answered * d.revisions * m.answer_record
        return a_day * (7 * m.delivery_record + 400 * (decisions + answers))

    @property
    def outbox_rows(self) -> float:
        """Published rows that three days of the busiest kind leave in the outboxes."""
        d = self.demand
        a_day = d.deliveries_a_year / _DAYS * d.peak_day
        return 3 * a_day * (1 + d.asked + d.asked * d.answered * d.revisions)

    def _processes(self, wanted: float, most: float) -> int:
        """At least two, since one may be lost."""
        return max(2, math.ceil(wanted / (most * self.measured.used)))


def rows(capacity: Capacity) -> list[tuple[str, str]]:
    """What each figure is, and its value for people."""
    return [(what, text(capacity)) for what, text in _ROWS]


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _bytes(value: float) -> str:
    for name, size in (("PB", 1e15), ("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if value >= size:
            return f"{value / size:,.1f} {name}"
    return f"{value / 1e3:,.1f} kB"


_ROWS: Final[tuple[tuple[str, Callable[[Capacity], str]], ...]] = (
    ("deliveries a second, busiest hour", lambda c: _count(c.deliveries_a_second)),
    ("decisions told a second", lambda c: _count(c.decisions_a_second)),
    ("answers a second", lambda c: _count(c.answers_a_second)),
    ("events counted a second", lambda c: _count(c.events_a_second)),
    ("notifier processes", lambda c: _count(c.notifiers)),
    ("survey processes", lambda c: _count(c.surveys)),
    ("aggregator processes", lambda c: _count(c.aggregators)),
    ("partitions of a topic", lambda c: _count(c.partitions)),
    ("PostgreSQL, a year, without cells and outboxes", lambda c: _bytes(c.database_bytes_a_year)),
    ("write-ahead log of counting, a second", lambda c: _bytes(c.log_bytes_a_second)),
    ("outboxes, three busiest days", lambda c: _bytes(c.outbox_bytes)),
    ("cells that a year adds", lambda c: _count(c.cells_a_year)),
    ("memory to compare cells, after a year", lambda c: _bytes(c.mirror_bytes_after_a_year)),
    ("Kafka, written a second", lambda c: _bytes(c.kafka_bytes_a_second)),
    ("Kafka, kept, one replica", lambda c: _bytes(c.kafka_bytes_kept)),
)
