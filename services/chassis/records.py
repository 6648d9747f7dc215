"""From a Kafka record to its meaning: CloudEvents in any mode or plain JSON, checked against the contract."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar

from aiokafka import ConsumerRecord

from schemas.cloudevents import ContractError, decode, read_record
from schemas.contract import Contract
from services.chassis.failures import Poison
from services.chassis.fence import Decode

M = TypeVar("M", bound=Contract)


@dataclass(frozen=True, slots=True)
class Received(Generic[M]):
    """A message with what the record says about it.

    Attributes:
        traceparent: the trace it belongs to, where it told one.
        appended_at: when the broker took it (our topics use LogAppendTime).
    """

    message: M
    traceparent: str | None
    appended_at: datetime


def reading(model: type[M]) -> Decode[Received[M]]:
    """A decoder for one topic. Tombstones mean nothing to these readers and are skipped."""

    def read(record: ConsumerRecord) -> Received[M] | None:
        try:
            event = read_record(record.value, record.headers, record.key)
            if event.data is None:
                return None
            message = decode(model, event)
        except ContractError as error:
            raise Poison(error.reason, error.detail) from None
        return Received(message, event.traceparent, datetime.fromtimestamp(record.timestamp / 1000, UTC))

    return read
