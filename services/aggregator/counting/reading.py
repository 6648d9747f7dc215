"""From a record to what is counted. The quick way for our own records, the full contract for all others."""

import dataclasses
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Self

import msgspec
from aiokafka import ConsumerRecord

from schemas.contract import Contract
from schemas.invitation import InvitationDecided, InvitationProgress, ProgressStep
from schemas.response import RatedParty, ResponseRecorded
from schemas.topics import INVITATION_DECIDED, INVITATION_PROGRESS, RESPONSE_RECORDED
from services.aggregator.counting.hand_overs import Leg, answers_for
from services.chassis.failures import Poison
from services.chassis.records import reading

_OUTCOME = {
    "scheduled": "pending",
    "in_doubt": "pending",
    "asked": "asked",
    "suppressed": "suppressed",
    "failed": "failed",
}
GROUP = "kvittera-aggregator"
"""The consumer group, and the name of this step in traces."""
TOPICS = (INVITATION_DECIDED, INVITATION_PROGRESS, RESPONSE_RECORDED)
"""What is counted from."""
REACHED = ProgressStep.REACHED.value
"""Of a step that is counted like a decision of its own kind: the kind and the outcome."""
MACHINE, OTHER_PARTY, UNINVITED = "machine", "other_party", "uninvited"
"""The series of answers that stay out of the carrier's counters, each counted by itself (docs/figures.md)."""
CARRIER = RatedParty.CARRIER.value
EARLY, LATE = "early", "late"
"""The waves of answers: before and after a reminder would leave."""
_FIRST_YEAR, _LAST_YEAR = 1970, 2261
_Revision = Annotated[int, msgspec.Meta(ge=1, le=2_147_483_647)]
_Score = Annotated[int, msgspec.Meta(ge=1, le=5)]
_Step = Annotated[int, msgspec.Meta(ge=0, le=10)]


class Facts(msgspec.Struct, frozen=True, gc=False):
    """The attribution snapshot, as far as it can be cut by."""

    carrier: str
    country: str
    method: str
    occurred_at: Annotated[datetime, msgspec.Meta(tz=True)]
    zone: str
    delivery_id: str
    postcode_prefix: str | None = None
    terminal: str | None = None
    route: str | None = None
    driver: str | None = None
    service_point: str | None = None
    merchant_id: str | None = None
    method_chosen_by_recipient: bool | None = None
    touchpoint: str = "home"
    attempt: int = 1
    late: bool | None = None
    disruption: str | None = None
    exceptions: tuple[str, ...] = ()
    hand_overs: tuple[Leg, ...] = ()

    @property
    def charged_driver(self) -> str | None:
        """The driver, unless others held the parcel when what people may be unhappy about happened."""
        if self.driver is None or not (self.attempt > 1 or self.exceptions or self.hand_overs):
            return self.driver
        return self.driver if answers_for(self.driver, self.attempt, self.exceptions, self.hand_overs) else None

    @property
    def disrupted(self) -> bool:
        """Whether the delivery fell in a disruption that was known when it was decided about."""
        return self.disruption is not None


class CountedAnswer(msgspec.Struct, frozen=True, gc=False):
    """An answer, as far as it is counted."""

    response_id: uuid.UUID
    revision: _Revision
    recorded_at: Annotated[datetime, msgspec.Meta(tz=True)]
    delivery: Facts
    score: _Score | None = None
    commented: bool = False
    contested: bool = False
    rated: str = CARRIER
    invited: bool = True
    suspected_machine: bool = False
    channel: str | None = None
    language: str | None = None
    answered_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    follow_ups: dict[str, _Step] = {}

    @property
    def reason(self) -> None:
        """An answer was asked for: nothing was suppressed."""

    def wave(self, first: timedelta) -> str | None:
        """Whether it came early, so long after the delivery at most, or late; None for a page that was only opened."""
        if self.answered_at is None:
            return None
        return EARLY if self.answered_at - self.delivery.occurred_at <= first else LATE

    @property
    def series(self) -> str | None:
        """The series that it is counted in; None for the carrier's own counters."""
        if self.suspected_machine:
            return MACHINE
        if self.rated != CARRIER:
            return OTHER_PARTY
        return None if self.invited else UNINVITED


class ToldAnswer(CountedAnswer, frozen=True):
    """An answer whose number is not looked at yet: to make it costs as much as to read a third of the answer."""

    response_id: str  # type: ignore[assignment]


class _Decision(msgspec.Struct, frozen=True):
    revision: _Revision
    outcome: str
    delivery: Facts
    kind: str = "ask"
    channel: str | None = None
    language: str | None = None
    reason: str | None = None


class _Progress(msgspec.Struct, frozen=True):
    invitation_id: uuid.UUID
    step: ProgressStep
    delivery: Facts
    at: Annotated[datetime, msgspec.Meta(tz=True)]
    channel: str | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class CountedDecision:
    """A decision, or that it reached the person, as far as it is counted; `outcome` is a column of the counters."""

    kind: str
    revision: int
    outcome: str
    delivery: Facts
    channel: str | None = None
    language: str | None = None
    reason: str | None = None

    def wave(self, _: timedelta) -> None:
        """Answers come in waves, decisions do not."""

    def counted_as(self, first: Self) -> Self:
        """This revision at the place of the first one: its delivery, channel, language and reason."""
        return dataclasses.replace(
            self, delivery=first.delivery, channel=first.channel, language=first.language, reason=first.reason
        )


Counted = CountedAnswer | CountedDecision


def reader() -> Callable[[ConsumerRecord], Counted | None]:
    """A decoder for the topics of what is counted."""
    quick = {RESPONSE_RECORDED: answer_decoder(), INVITATION_DECIDED: _decisions(), INVITATION_PROGRESS: _steps()}
    full = {
        RESPONSE_RECORDED: reading(ResponseRecorded, GROUP),
        INVITATION_DECIDED: reading(InvitationDecided, GROUP),
        INVITATION_PROGRESS: reading(InvitationProgress, GROUP),
    }

    def read(record: ConsumerRecord) -> Counted | None:
        value = record.value
        try:
            return None if value is None else in_a_window(quick[record.topic](value))
        except (msgspec.MsgspecError, KeyError, ValueError):
            # Another mode of CloudEvents, or broken: the contract tells, or says exactly what is wrong.
            received = full[record.topic](record)
            return None if received is None else again(record.topic, received.message)

    def in_a_window(counted: Counted) -> Counted:
        if not _FIRST_YEAR <= counted.delivery.occurred_at.year <= _LAST_YEAR:
            raise ValueError("no window holds it")
        return counted

    def again(topic: str, message: Contract) -> Counted:
        try:
            return in_a_window(quick[topic](message.model_dump_json(exclude_none=True).encode()))
        except (msgspec.MsgspecError, ValueError) as error:
            # Right by the contract, but nothing that the counters can hold.
            raise Poison("uncountable", type(error).__name__) from None

    return read


def answer_decoder() -> Callable[[bytes], CountedAnswer]:
    """The quick way for our own answers. Raises msgspec.MsgspecError or ValueError for all others."""
    return msgspec.json.Decoder(CountedAnswer).decode


def told_answer_decoder() -> Callable[[bytes], ToldAnswer]:
    """The same, but for the number of the response, which may be any text."""
    return msgspec.json.Decoder(ToldAnswer).decode


def _decisions() -> Callable[[bytes], Counted]:
    decode = msgspec.json.Decoder(_Decision).decode

    def read(value: bytes) -> Counted:
        d = decode(value)
        return CountedDecision(d.kind, d.revision, _OUTCOME[d.outcome], d.delivery, d.channel, d.language, d.reason)

    return read


def _steps() -> Callable[[bytes], Counted]:
    decode = msgspec.json.Decoder(_Progress).decode

    def read(value: bytes) -> Counted:
        p = decode(value)
        if p.step is ProgressStep.REACHED:
            return CountedDecision(REACHED, 1, REACHED, p.delivery, p.channel, p.language)
        # An answer before its first revision: a later revision finds it counted as opened.
        return CountedAnswer(p.invitation_id, 0, p.at, p.delivery, channel=p.channel, language=p.language)

    return read
