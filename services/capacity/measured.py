"""What the arithmetic stands on: `measured.json`, each value with the page that prints it and how it was measured.

A test holds each to that page, so a figure that is measured anew cannot stay as it was here.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_FILE: Final = Path(__file__).with_name("measured.json")


@dataclass(frozen=True, slots=True)
class Input:
    """One measured value.

    Attributes:
        name: the field of `Measured`.
        what, how: what it is a figure of, and which run of what gave it.
        page: where it is printed, from the folder of the repository.
        printed: the words there that hold it.
    """

    name: str
    value: float
    unit: str
    what: str
    how: str
    date: str
    page: str
    printed: str


@dataclass(frozen=True, slots=True)
class Measured:
    """What one process or one thing takes; seconds, bytes and microseconds.

    Attributes:
        sent_a_second: deliveries that one notifier decides and hands to an HTTP gateway that takes 20 ms.
        answers_a_second: durable answers of one survey process at half of its load.
        count_us: wall clock of an event counted and published, catching up in large batches.
        decision_bytes, request_bytes, reminder_bytes, link_bytes, answer_bytes: what stays in PostgreSQL of each, with
            indexes; a link is what the survey keeps of a request, an answer has its comment, praise and case.
        outbox_bytes: of one row, indexes included.
        delivery_record, decision_record, step_record, answer_record, cell_record: of one record on its topic.
        cells_an_event: records of cells for an event counted, in small batches.
        mirror_bytes: memory in which an aggregator remembers the published version of one cell.
        send_wal, link_wal, count_wal: write-ahead log of a delivery in the notifier, of a request in the survey with
            the answers of fifteen in a hundred, and of an event counted in small batches.
        count_wal_large: the last one in large batches.
        send_client, link_client, count_client: bytes to and from PostgreSQL, of the same three.
        page_bytes, call_bytes: bytes of a page with its taps, and of a call to a provider, without encryption.
        postgres_us, kafka_us: processor time of a delivery with all that follows from it, at 228 a second.
    """

    sent_a_second: float
    answers_a_second: float
    count_us: float
    decision_bytes: float
    request_bytes: float
    reminder_bytes: float
    link_bytes: float
    answer_bytes: float
    outbox_bytes: float
    delivery_record: float
    decision_record: float
    step_record: float
    answer_record: float
    cell_record: float
    cells_an_event: float
    mirror_bytes: float
    send_wal: float
    link_wal: float
    count_wal: float
    count_wal_large: float
    send_client: float
    link_client: float
    count_client: float
    page_bytes: float
    call_bytes: float
    postgres_us: float
    kafka_us: float

    @property
    def counted_a_second(self) -> float:
        """Events that one aggregator counts and publishes while it catches up in large batches."""
        return 1e6 / self.count_us


def inputs() -> tuple[Input, ...]:
    """All of them, in the order of the file."""
    return tuple(Input(**entry) for entry in json.loads(_FILE.read_text(encoding="utf-8"))["inputs"])


def machine() -> str:
    """Where all of them were measured."""
    return str(json.loads(_FILE.read_text(encoding="utf-8"))["machine"])


def measured() -> Measured:
    """What was measured."""
    return Measured(**{entry.name: entry.value for entry in inputs()})
