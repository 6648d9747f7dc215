"""A batch in hand: what Kafka handed over, and what it means where that was found out ahead."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from aiokafka import TopicPartition

from services.chassis.batches import Batch
from services.chassis.meanings import Meanings

T = TypeVar("T")


@dataclass(slots=True)
class InHand(Generic[T]):
    """A batch that nothing was done with yet.

    Attributes:
        seeks: how often reading had jumped in each partition when the batch came. One that jumped since brings its
            records again.
        meanings: of the whole batch, where it was read ahead.
    """

    batch: Batch
    seeks: Mapping[TopicPartition, int]
    meanings: Meanings[T] | None = None

    def __len__(self) -> int:
        return sum(map(len, self.batch.values()))
