"""Records as readers hand them over: by partition, each in its order."""

from collections.abc import Iterable, Mapping, Sequence

from aiokafka import ConsumerRecord, TopicPartition

Batch = Mapping[TopicPartition, Sequence[ConsumerRecord]]


def by_partition(records: Iterable[ConsumerRecord]) -> Batch:
    """Records that came in one row, by partition again, each in its order."""
    batch: dict[TopicPartition, list[ConsumerRecord]] = {}
    for record in records:
        batch.setdefault(TopicPartition(record.topic, record.partition), []).append(record)
    return batch
