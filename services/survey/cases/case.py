"""A case as it stands, and the event that tells of it."""

import json
import uuid
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg

from schemas.delivery import DeliveryFacts
from schemas.feedback import Attribution, CaseState, CaseTrigger, Cause, FeedbackCase, Nature
from schemas.response import ResponseRecorded
from services.survey.cases.number import number_of

_CASES = uuid.UUID("8d1f0a1e-6a53-4e0f-9d0b-3a3f1c2b7c55")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A case at one revision.

    Attributes:
        serial: counted by the database; 0 until the case is stored.
        desk: the terminal that reads the case; empty when the delivery named none.
        first_due_at: when first contact was due after the case was opened.
        due_at: the deadline that runs now; none once a human has reached out, or when the case is resolved.
        outcome_sealed: what staff wrote to the person.
    """

    case_id: uuid.UUID
    serial: int = 0
    revision: int = 1
    response_id: str
    response_revision: int
    state: CaseState = CaseState.OPEN
    opened_because: tuple[CaseTrigger, ...]
    desk: str
    score: int | None
    reasons: tuple[str, ...]
    commented: bool
    wants_contact: bool
    contested: bool
    language: str | None
    owner: str | None = None
    owner_name: str | None = None
    nature: Nature | None = None
    cause: Cause | None = None
    attribution: Attribution | None = None
    place: str | None = None
    controllable: bool | None = None
    outcome_sealed: bytes | None = None
    outcome_told: bool = False
    opened_at: datetime
    first_due_at: datetime
    due_at: datetime | None
    contacted_at: datetime | None = None
    resolved_at: datetime | None = None
    changed_at: datetime
    delivery: DeliveryFacts
    traceparent: str | None = None

    @property
    def number(self) -> str:
        """The number that people call the case by."""
        return number_of(self.serial)

    @classmethod
    def from_row(cls, row: asyncpg.Record) -> "Case":
        """The case in a row of `feedback_case`."""
        given: dict[str, Any] = {name: row[name] for name in cls.__slots__}
        given["state"] = CaseState(row["state"])
        given["opened_because"] = tuple(map(CaseTrigger, row["opened_because"]))
        given["reasons"] = tuple(row["reasons"])
        given["nature"] = Nature(row["nature"]) if row["nature"] else None
        given["cause"] = Cause(row["cause"]) if row["cause"] else None
        given["attribution"] = Attribution(row["attribution"]) if row["attribution"] else None
        given["delivery"] = DeliveryFacts.model_validate(json.loads(row["delivery"]))
        return cls(**given)


def opened(
    answer: ResponseRecorded,
    because: tuple[CaseTrigger, ...],
    *,
    desk: str,
    due_at: datetime,
    now: datetime,
    traceparent: str | None,
) -> Case:
    """The new case that an answer calls for. Its id follows from the response's: there is never a second."""
    return Case(
        case_id=uuid.uuid5(_CASES, answer.response_id),
        response_id=answer.response_id,
        response_revision=answer.revision,
        opened_because=because,
        desk=desk,
        score=answer.score,
        reasons=answer.reasons,
        commented=answer.commented,
        wants_contact=answer.wants_contact,
        contested=answer.contested,
        language=answer.language,
        opened_at=now,
        first_due_at=due_at,
        due_at=due_at,
        changed_at=now,
        delivery=answer.known,
        traceparent=traceparent,
    )


def event_of(case: Case) -> FeedbackCase:
    """What the topic is told about the case."""
    return FeedbackCase(
        case_id=str(case.case_id),
        revision=case.revision,
        state=case.state,
        opened_because=case.opened_because,
        response_id=case.response_id,
        score=case.score,
        nature=case.nature,
        cause=case.cause,
        attribution=case.attribution,
        controllable=case.controllable,
        outcome_told=case.outcome_told,
        opened_at=case.opened_at,
        sla_due_at=case.first_due_at,
        contacted_at=case.contacted_at,
        resolved_at=case.resolved_at,
        changed_at=case.changed_at,
        delivery=case.delivery,
    )


def local_day(delivery: DeliveryFacts) -> date:
    """The day of the delivery at its place."""
    return delivery.occurred_at.astimezone(ZoneInfo(delivery.zone)).date()


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a case's timeline.

    Attributes:
        by: a member's subject and name; none for the recipient and for rules.
        at: when it happened; none means with the change of the case.
    """

    what: str
    by: tuple[str, str] | None = None
    detail: str | None = None
    note: str | None = None
    at: datetime | None = None
