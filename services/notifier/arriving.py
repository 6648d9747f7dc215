"""Deliveries as the notifier reads them: checked against the contract, and against the clock of the broker."""

from datetime import datetime

from aiokafka import ConsumerRecord

from schemas.delivery import DeliveryCompleted
from services.chassis.failures import Poison
from services.chassis.meanings import Decode
from services.chassis.records import Received, reading
from services.notifier.policy import CLOCKS_MAY_DIFFER


def reading_deliveries(by: str) -> Decode[Received[DeliveryCompleted]]:
    """A decoder for deliveries, read by the group `by`; one from the future is put aside (H82).

    Its windows would be wrong, and asking about it too early. The broker's clock tells, so a replay from the dead
    letters is taken once the moment has come, and every reader of the topic finds the same.
    """
    read = reading(DeliveryCompleted, by)

    def read_if_it_has_happened(record: ConsumerRecord) -> Received[DeliveryCompleted] | None:
        received = read(record)
        if received is not None:
            refuse_the_future(received.message.delivery.occurred_at, received.appended_at)
        return received

    return read_if_it_has_happened


def refuse_the_future(occurred_at: datetime, appended_at: datetime) -> None:
    """See that a delivery is dated no more than the difference of clocks ahead of the broker's.

    Raises:
        Poison: it is; a clock or a hand upstream is wrong.
    """
    if occurred_at - appended_at > CLOCKS_MAY_DIFFER:
        raise Poison("in_the_future", "delivery.occurred_at: more than five minutes ahead of the broker's clock")
