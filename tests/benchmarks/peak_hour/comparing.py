"""The arithmetic beside a run: each figure, what it took, and how many times as much that is."""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from schemas.topics import DELIVERY_COMPLETED, INVITATION_DECIDED, RESPONSE_RECORDED
from services.capacity.demand import Demand
from services.capacity.figures import Capacity
from services.capacity.measured import Measured
from services.capacity.network import Network
from services.demo.supervisor import SERVICES
from tests.benchmarks.peak_hour.place import OTHERS
from tests.benchmarks.peak_hour.running import Ran
from tests.benchmarks.peak_hour.shares import Found, found_in

_DAYS, _HOUR = 365, 3_600
_PAGE, _NOTES = "docs/performance.md", "docs/performance-notes.md"
AT_MOST: Final = {
    "request": (300, _PAGE, "518, 555 and 566 µs CPU a delivery (of the first: notifiers 300"),
    "request stored": (167, _PAGE, "notifiers 300, PostgreSQL 167"),
    "request told": (29, _PAGE, "PostgreSQL 167, Kafka 29"),
    "tap": (61, _NOTES, "| server and relay | 87 µs | 61 µs |"),
    "tap stored": (50, _NOTES, "| PostgreSQL | 112 µs | 50 µs |"),
    "page": (413, _PAGE, "413 µs of server CPU a page"),
    "event": (11.2, _PAGE, "16.9 µs CPU an event (Python 11.2"),
    "event stored": (5.7, _PAGE, "(Python 11.2, PostgreSQL 5.7)"),
}
"""Microseconds of processor time of each, where it is printed, and in which words."""


class Row(NamedTuple):
    """One figure.

    Attributes:
        arithmetic: what `kvittera capacity` stands on or gives; None: it says nothing of this.
        ran: what the run took.
    """

    what: str
    arithmetic: float | None
    ran: float

    def cells(self) -> tuple[str, str, str, str]:
        """For a table."""
        if self.arithmetic is None:
            return self.what, "", _number(self.ran), ""
        return self.what, _number(self.arithmetic), _number(self.ran), f"{self.ran / self.arithmetic:.2f}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:,.1f}"


def rows(ran: Ran, m: Measured) -> Iterator[Row]:
    """All figures, for the run's own shares of asked and answered, without reminders and receipts."""
    f = found_in(ran)
    c = Capacity(_demand(ran, f), m)
    yield Row("deliveries a second", ran.rate, f.deliveries / ran.seconds)
    yield Row("decisions told a second", ran.rate * c.decisions_a_delivery, f.decisions / ran.seconds)
    yield Row("answers a second, revisions included", c.answers_a_second, f.taps / ran.seconds)
    yield Row("events counted a second", c.events_a_second, f.events / ran.seconds)
    yield Row("bytes of a delivery in Kafka", m.delivery_record, f.record(DELIVERY_COMPLETED))
    yield Row("bytes of a decision in Kafka", m.decision_record, f.record(INVITATION_DECIDED))
    yield Row("bytes of an answer in Kafka", m.answer_record, f.record(RESPONSE_RECORDED))
    yield Row("bytes of a cell in Kafka", m.cell_record, f.cell_record)
    yield Row("cells sent for an event", m.cells_an_event, f.cells / f.events)
    yield from _disk(m, f)
    yield Row("outbox rows waiting at most, notifier", None, ran.waiting.get("notifier", 0))
    yield Row("outbox rows waiting at most, survey", None, ran.waiting.get("survey", 0))
    yield from _log(ran, m, f)
    yield from _network(c, f)
    yield from _processor(ran, f)
    for name, most in ran.memory_mib.items():
        yield Row(f"MiB of {name} at most" if name in SERVICES else f"MiB of {name}", None, most)


def _demand(ran: Ran, f: Found) -> Demand:
    """The year whose busiest hour has the run's rate and shares."""
    year = Demand(1)
    return Demand(
        ran.rate * _HOUR * _DAYS / year.peak_day / year.peak_hour,
        asked=f.asked / f.deliveries,
        answered=f.answered / f.asked,
        revisions=f.taps / f.answered,
        reminded=0,
        steps=0,
    )


def _disk(m: Measured, f: Found) -> Iterator[Row]:
    yield Row("bytes of a decision in PostgreSQL", m.decision_bytes, f.decision_bytes)
    planned = m.request_bytes + m.reminder_bytes
    yield Row("bytes of a request with its planned reminder, notifier", planned, f.request_bytes)
    yield Row("bytes of its link, survey, and the person's keys", m.link_bytes, f.link_bytes)
    yield Row("bytes of an answer in PostgreSQL", m.answer_bytes, f.answer_bytes)
    yield Row("bytes of an outbox row", m.outbox_bytes, f.outbox_bytes)


def _log(ran: Ran, m: Measured, f: Found) -> Iterator[Row]:
    yield Row("write-ahead log of a delivery, notifier", m.send_wal, f.wal("notifier", f.deliveries))
    survey = f.wal("survey", f.asked)
    yield Row("write-ahead log of a request, survey, with its answers", m.link_wal, survey)
    yield Row("write-ahead log of an event, aggregator", m.count_wal, f.wal("aggregator", f.events))
    yield Row("write-ahead log of a delivery, all of the server", None, ran.wal_bytes["all"] / f.deliveries)


def _network(c: Capacity, f: Found) -> Iterator[Row]:
    network = Network(c)
    written = network.written
    yield Row("bytes written to Kafka, a delivery", sum(written.values()), f.to_kafka / f.deliveries)
    # One aggregator runs here, and the arithmetic plans two.
    read = sum(n * network.readers(topic) for topic, n in written.items())
    yield Row("bytes read from Kafka, a delivery", read, f.from_kafka / f.deliveries)
    m = c.measured
    to_database = "bytes to and from PostgreSQL"
    yield Row(f"{to_database}, a delivery, notifier", m.send_client, f.client("notifier", f.deliveries))
    yield Row(f"{to_database}, a request, survey", m.link_client, f.client("survey", f.asked))
    yield Row(f"{to_database}, an event, aggregator", m.count_client, f.client("aggregator", f.events))
    yield Row("bytes of a page with its taps, both ways", m.page_bytes, f.page_bytes)
    yield Row("bytes of a call to the provider, both ways", m.call_bytes, f.call_bytes)


def _processor(ran: Ran, f: Found) -> Iterator[Row]:
    benched = _benched(f)
    for name, seconds in ran.cpu.items():
        at_rest = ran.idle_cpu.get(name, 0.0) * ran.seconds
        label = name if name != OTHERS else f"all others ({OTHERS})"
        yield Row(f"CPU ms of a thousand deliveries, {label}", benched.get(name), 1e6 * seconds / f.deliveries)
        if name != OTHERS:
            yield Row(f"of that at rest, {name}", None, 1e6 * at_rest / f.deliveries)


def _benched(f: Found) -> Mapping[str, float]:
    """Milliseconds of a thousand deliveries by the pages about performance, where each path works at its most."""
    at_most = {name: micros for name, (micros, _, _) in AT_MOST.items()}
    asked, taps, pages, events = (n / f.deliveries for n in (f.asked, f.taps, f.pages, f.events))
    stored = at_most["request stored"] * asked + at_most["tap stored"] * taps + at_most["event stored"] * events
    return {
        "notifier": at_most["request"] * asked,
        "survey": at_most["tap"] * taps + at_most["page"] * pages,
        "aggregator": at_most["event"] * events,
        "PostgreSQL": stored,
        "Kafka": at_most["request told"] * asked,
    }


def lines(ran: Ran, m: Measured) -> list[str]:
    """The table, as docs/scale.md has it."""
    head = ("figure", "arithmetic", "run", "run / arithmetic")
    return [f"| {' | '.join(cells)} |" for cells in (head, ("---",) * len(head), *(r.cells() for r in rows(ran, m)))]
