"""The lines of Kafka records that were applied: where each stood, its trace and its delivery."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Annotated, Final

import msgspec
from aiokafka import ConsumerRecord

from schemas.cloudevents import ContractError, read_record
from services.chassis.applied_batches import Applied, name_of
from services.chassis.deadletter import DeadLetter
from services.chassis.message_lines import HEARD, PUT_ASIDE, MessageLines
from services.chassis.tracing import step_of, traceparent_in

BecameOf = Callable[[str], Mapping[str, str | None]]
"""What became of a delivery, in words for its line; asked after the commit, and of few."""


@dataclass(frozen=True, slots=True)
class Became:
    """What an applied batch leaves to be said once it is committed.

    Attributes:
        of: what became of one delivery.
        count: counts them all; a batch that is taken back and applied again must not be counted twice.
    """

    of: BecameOf
    count: Callable[[], None]


_Id = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.:\-]{1,64}\Z")]


class _Delivery(msgspec.Struct):
    delivery_id: _Id | None = None


class _Told(_Delivery):
    """As much of any message of ours as says which delivery it is about."""

    delivery: _Delivery | None = None


_read: Final = msgspec.json.Decoder(_Told).decode


def delivery_in(data: bytes | None) -> str | None:
    """The delivery that a message is about; None where it names none, or cannot be read."""
    try:
        told = None if data is None else _read(data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    if told is None or told.delivery is None:
        return None if told is None else told.delivery_id
    return told.delivery.delivery_id or told.delivery_id


@dataclass(frozen=True, slots=True)
class RecordLines:
    """Writes the lines of a group's records; `kind` says what it does with them."""

    lines: MessageLines = field(default_factory=lambda: MessageLines(0))
    kind: str = HEARD

    def tell_batch(
        self,
        group: str,
        applied: Applied,
        dead: Sequence[DeadLetter],
        skipped: int,
        seconds: float,
        traced: Sequence[ConsumerRecord],
        became: BecameOf | None = None,
    ) -> None:
        """Write the lines of a committed batch that took so many seconds; nothing is made of those left out.

        `dead` were put aside, of the rest `skipped` called for nothing, and the traces of `traced` are told.
        """
        for letter in self.lines.chosen(PUT_ASIDE, dead, len(dead)):
            self._tell(PUT_ASIDE, group, letter.record, seconds, action="dead_letter", reason=letter.reason)
        together = sum(map(len, applied.values()))
        but, marked = {id(letter.record) for letter in dead}, set(map(id, traced))
        meant = (r for r in chain.from_iterable(applied.values()) if r.value is not None and id(r) not in but)
        handled = together - len(dead) - skipped
        for record in self.lines.chosen(
            self.kind, meant, handled, traced=(lambda r: id(r) in marked) if marked else None
        ):
            self._tell(self.kind, group, record, seconds, became, together=together)

    def _tell(
        self,
        kind: str,
        group: str,
        record: ConsumerRecord,
        seconds: float,
        became: BecameOf | None = None,
        **facts: str | int,
    ) -> None:
        try:
            event = read_record(record.value, record.headers, record.key)
            cause, data = event.traceparent, event.data
        except ContractError:
            cause, data = traceparent_in(record.headers), record.value
        delivery_id = delivery_in(data)
        self.lines.tell(
            kind,
            step_of(cause, group, name_of(record)),
            seconds,
            delivery_id=delivery_id,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            **facts,
            **(became(delivery_id) if became is not None and delivery_id is not None else {}),
        )
