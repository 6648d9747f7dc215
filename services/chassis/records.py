"""From a Kafka record to its meaning: CloudEvents in any mode or plain JSON, checked against the contract."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, Protocol, TypeVar

from aiokafka import ConsumerRecord

from schemas.cloudevents import ContractError, decode, read_record
from schemas.contract import Contract
from services.chassis.applied_batches import name_of
from services.chassis.failures import Poison
from services.chassis.meanings import Decode
from services.chassis.tracing import step_of

M = TypeVar("M", bound=Contract)


class Revised(Protocol):
    """What is told anew with each change of it."""

    @property
    def revision(self) -> int:
        """Counts the changes from 1."""


R = TypeVar("R", bound=Revised)


@dataclass(frozen=True, slots=True)
class Received(Generic[M]):
    """A message with what the record says about it.

    Attributes:
        traceparent: the trace context of our step with it, for all that the step causes.
        appended_at: when the broker took it (our topics use LogAppendTime).
    """

    message: M
    traceparent: str | None
    appended_at: datetime


def reading(model: type[M], by: str) -> Decode[Received[M]]:
    """A decoder for one topic, read by the group `by`. Tombstones mean nothing to these readers and are skipped."""

    def read(record: ConsumerRecord) -> Received[M] | None:
        try:
            event = read_record(record.value, record.headers, record.key)
            if event.data is None:
                return None
            message = decode(model, event)
        except ContractError as error:
            raise Poison(error.reason, error.detail) from None
        step = step_of(event.traceparent, by, name_of(record))
        return Received(message, step, datetime.fromtimestamp(record.timestamp / 1000, UTC))

    return read


def last_revisions(told: Iterable[R], name: Callable[[R], str]) -> list[R]:
    """Of each named thing in a batch its highest revision, by name: one statement may touch a row only once."""
    latest: dict[str, R] = {}
    for one in told:
        if name(one) not in latest or latest[name(one)].revision < one.revision:
            latest[name(one)] = one
    return [latest[key] for key in sorted(latest)]
