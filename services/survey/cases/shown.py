"""What the desk of cases hands out, as plain values."""

from dataclasses import dataclass
from datetime import datetime

from schemas.response import RatedParty
from services.survey.cases.case import Case


@dataclass(frozen=True, slots=True)
class Contact:
    """How to reach the person; shown only after the view was noted."""

    name: str | None
    address: str


@dataclass(frozen=True, slots=True)
class Listed:
    """A case with its comment, where the member may read it."""

    case: Case
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a case's history."""

    what: str
    by: str | None
    at: datetime
    detail: str | None
    note: str | None


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands beside a case.

    Attributes:
        rated: whom the answer is about; none where the answer is unknown.
        answer_revision: the revision of the answer that says so.
        sent: where the latest words to the person stand; none where nothing was sent.
        reason: why they were not sent, or are in doubt.
        kept: the message in the local outbox, for those who may work on the case.
    """

    rated: RatedParty | None = None
    answer_revision: int | None = None
    sent: str | None = None
    reason: str | None = None
    kept: str | None = None


@dataclass(frozen=True, slots=True)
class Tabs:
    """How many cases there are, and how much praise waits, over all that the member may see."""

    open: int
    mine: int
    contacted: int
    praise: int


def searched(one: Listed) -> str:
    """What a search looks through: the comment, the numbers, the places and who owns the case."""
    d = one.case.delivery
    facts = (d.terminal, d.route, d.merchant_name, d.service_point, d.carrier, one.case.owner_name)
    return " ".join(filter(None, (one.comment, one.case.number, d.delivery_id, *facts))).casefold()
