"""Feedback: cases that somebody must take care of, and praise that somebody must hear."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from schemas.contract import Contract, Flag, Identifier, Instant, Name, Revision, Score
from schemas.delivery import DeliveryFacts


class CaseState(StrEnum):
    """Where the case stands."""

    OPEN = "open"
    CONTACTED = "contacted"
    WAITING = "waiting"
    RESOLVED = "resolved"
    REOPENED = "reopened"


class CaseTrigger(StrEnum):
    """Why a case was opened."""

    LOW_SCORE = "low_score"
    WANTS_CONTACT = "wants_contact"
    CONTESTED = "contested"
    DAMAGED = "damaged"
    STAFF = "staff"


class Cause(StrEnum):
    """What the complaint is about, in the words of the monthly quality page."""

    MISDELIVERED = "misdelivered"
    LATE = "late"
    MISSING = "missing"
    OTHER = "other"


class Attribution(StrEnum):
    """Who is answerable for the cause, in the words of the monthly quality page."""

    OWN = "own"
    OTHER_OPERATOR = "other_operator"
    UNCLEAR = "unclear"


class Nature(StrEnum):
    """EN 14012 keeps a complaint about one item apart from a general viewpoint."""

    ITEM_COMPLAINT = "item_complaint"
    VIEWPOINT = "viewpoint"


class FeedbackCase(Contract):
    """`feedback.case.v1`: the case as it stands after this revision, key = case id. Names no recipient.

    Comment, name and contact stay with the survey service, which owns the case.
    """

    case_id: Identifier
    """The case. Source: survey."""
    revision: Revision
    """Counts the changes of this case from 1."""
    state: CaseState
    """Where the case stands."""
    opened_because: Annotated[tuple[CaseTrigger, ...], Field(min_length=1, max_length=10)]
    """Every reason that called for the case, in the order in which they came."""
    response_id: Identifier
    """The response that the case grew from."""
    score: Score | None = None
    """The face given, where one was given."""
    nature: Nature | None = None
    """Complaint about this item or viewpoint, once staff has judged."""
    cause: Cause | None = None
    """What it is about, once staff has judged."""
    attribution: Attribution | None = None
    """Who is answerable, once staff has judged."""
    controllable: Flag | None = None
    """Whether the carrier could have prevented it, once staff has judged."""
    outcome_told: Flag = False
    """True when the person, having agreed to it, was told what came of the case."""
    opened_at: Instant
    """When the case was opened."""
    sla_due_at: Instant
    """When the first human contact is due."""
    contacted_at: Instant | None = None
    """When a human first reached out; SLA kept means not after `sla_due_at`."""
    resolved_at: Instant | None = None
    """When the case was last resolved; none while it is open again."""
    changed_at: Instant
    """When this revision was made."""
    delivery: DeliveryFacts
    """The attribution snapshot of the delivery."""


class FeedbackPraise(Contract):
    """`feedback.praise.v1`: somebody was praised, key = praise id.

    Carries no comment text; the driver is a pseudonym.
    """

    praise_id: Identifier
    """The praise; one for each response. Source: survey."""
    revision: Revision
    """Counts the changes of this praise from 1."""
    response_id: Identifier
    """The response that the praise stands in."""
    withdrawn: Flag = False
    """True when the recipient has since changed the answer: take it off the board."""
    score: Score
    """The face given."""
    reasons: Annotated[tuple[Identifier, ...], Field(max_length=20)] = ()
    """The reason chips that were ticked."""
    commented: Flag = False
    """True when there is a comment to read at the survey service."""
    carrier: Name
    """The carrier that was praised."""
    terminal: Name | None = None
    """The terminal whose board shall show it."""
    route: Name | None = None
    """The route of the delivery."""
    driver: Identifier | None = None
    """Pseudonym of the driver; none where drivers have declined."""
    service_point: Name | None = None
    """The shop or service point, where that was the touchpoint."""
    occurred_at: Instant
    """When the delivery happened."""
    praised_at: Instant
    """When the answer was given."""
    passed_on_at: Instant | None = None
    """When it was passed on to the one who was praised; none until then."""
    on_board: Flag = False
    """True while staff has approved it for the whiteboard."""
    pass_on_by: Instant | None = None
    """When the praise must have been passed on (the SLA of praise)."""
