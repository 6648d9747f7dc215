"""What is told about a batch once it is committed: how much it was, how long it took, and a span for each record."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from aiokafka import ConsumerRecord, TopicPartition

from services.chassis.metrics import Metrics
from services.chassis.traces import Traces
from services.chassis.tracing import step_of, traceparent_in

Applied = Mapping[TopicPartition, Sequence[ConsumerRecord]]
"""The records of a batch that had not been applied before; no partition of it is empty."""


def name_of(record: ConsumerRecord) -> str:
    """What names a record for ever."""
    return f"{record.topic}/{record.partition}/{record.offset}"


def start_counting(metrics: Metrics, topics: Iterable[str]) -> None:
    """Let every count of the topics begin at 0."""
    for topic in topics:
        for result in ("applied", "dead_letter", "skipped"):
            metrics.begin("kvittera_records_total", topic=topic, result=result)


def count_batch(
    metrics: Metrics,
    group: str,
    applied: Applied,
    dead: Mapping[str, int],
    empty: Mapping[str, int],
    seconds: float,
) -> None:
    """Count a batch; `dead` were put aside and `empty` called for nothing, by topic; the rest had effects."""
    of_topic: Counter[str] = Counter()
    for partition, records in applied.items():
        of_topic[partition.topic] += len(records)
    for topic, total in of_topic.items():
        put_aside, skipped = dead.get(topic, 0), empty.get(topic, 0)
        metrics.count("kvittera_records_total", total - put_aside - skipped, topic=topic, result="applied")
        metrics.count("kvittera_records_total", put_aside, topic=topic, result="dead_letter")
        metrics.count("kvittera_records_total", skipped, topic=topic, result="skipped")
    metrics.observe("kvittera_batch_records", of_topic.total(), group=group)
    metrics.observe("kvittera_batch_seconds", seconds, group=group)


def trace_batch(traces: Traces, service: str, group: str, applied: Applied, since: int) -> list[ConsumerRecord]:
    """Tell what was done with each record; `since` is when its batch was begun, in nanoseconds since 1970.

    Returns the records whose traces are told.
    """
    now = time.time_ns()
    told = []
    for records in applied.values():
        for record in records:
            cause = traceparent_in(record.headers)
            own = step_of(cause, group, name_of(record))
            if not traces.keeps(own):
                continue
            told.append(record)
            traces.tell(
                f"{service}: {record.topic}",
                parent=cause,
                own=own,
                started=since,
                ended=now,
                **{
                    "messaging.system": "kafka",
                    "messaging.destination.name": record.topic,
                    "messaging.destination.partition.id": str(record.partition),
                    "messaging.kafka.offset": record.offset,
                    "messaging.consumer.group.name": group,
                },
            )
    return told
