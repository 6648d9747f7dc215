"""What the list of the inbox shows, as plain values for the template; the chosen case stands in detail.py. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from services.chassis.staff import Member, Role
from services.survey.cases import words
from services.survey.cases.case import Case
from services.survey.cases.clock import TimeLeft, time_left
from services.survey.cases.filters import Filters
from services.survey.cases.opening import Deadlines
from services.survey.cases.shown import Listed

_HURRY: Final = 0.2


@dataclass(frozen=True, slots=True)
class Ring:
    """The time left for first contact: `percent` for the ring, words beside it."""

    percent: int
    text: str
    hurry: bool
    late: bool
    due: str


@dataclass(frozen=True, slots=True)
class Row:
    """A case in the list."""

    number: str
    revision: int
    href: str
    score: int | None
    quote: str | None
    lang: str | None
    about: str
    ring: Ring | None
    state: str
    chosen: bool
    may_assign: bool


@dataclass(frozen=True, slots=True)
class Looking:
    """Who looks, when, and at what part."""

    member: Member
    filters: Filters
    deadlines: Deadlines
    now: datetime


def ring_of(case: Case, looking: Looking) -> Ring | None:
    """How the deadline stands; none where no clock runs."""
    if case.due_at is None:
        return None
    clock = looking.deadlines.clock_of(case.delivery.zone, case.delivery.country)
    left: TimeLeft = time_left(clock, case.due_at, looking.deadlines.allowed, looking.now)
    late = looking.now > case.due_at
    text = f"late {words.duration(left.late)}" if late else words.duration(left.left)
    due = words.moment(case.due_at, case.delivery.zone, looking.now)
    return Ring(round(100 * left.share), text, late or left.share < _HURRY, late, due)


def row_of(listed: Listed, chosen: str, looking: Looking) -> Row:
    """A case as the list shows it."""
    case = listed.case
    age = words.age(max(timedelta(0), looking.now - case.opened_at))
    return Row(
        number=case.number,
        revision=case.revision,
        href=looking.filters.address(case.number),
        score=case.score,
        quote=listed.comment,
        lang=case.language,
        about=" · ".join((case.desk or "No terminal", words.kind(case), age)),
        ring=ring_of(case, looking),
        state=words.STATES[case.state],
        chosen=case.number == chosen,
        may_assign=looking.member.may(Role.LEAD, case.desk),
    )
