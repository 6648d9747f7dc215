"""What staff may do with a case: the moves between its states, and what each needs. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from schemas.feedback import Attribution, CaseState, Cause, Nature
from services.chassis.staff import Member, Role
from services.survey.cases.case import Case, Entry
from services.survey.staff.refusals import Impossible, NotAllowed


class Action(StrEnum):
    """What can be done with a case."""

    TAKE = "take"
    ASSIGN = "assign"
    CONTACT = "contact"
    WAIT = "wait"
    RESOLVE = "resolve"
    REOPEN = "reopen"
    NOTE = "note"


class Place(StrEnum):
    """Where the cause arose. Only the first three are the carrier's to change."""

    DRIVER = "driver"
    ROUTE = "route"
    TERMINAL = "terminal"
    MERCHANT = "merchant"
    RECIPIENT = "recipient"
    OUTSIDE = "outside"


CONTROLLABLE: Final = frozenset({Place.DRIVER, Place.ROUTE, Place.TERMINAL})
MOVES: Final = {
    (CaseState.OPEN, Action.CONTACT): CaseState.CONTACTED,
    (CaseState.OPEN, Action.RESOLVE): CaseState.RESOLVED,
    (CaseState.CONTACTED, Action.WAIT): CaseState.WAITING,
    (CaseState.CONTACTED, Action.RESOLVE): CaseState.RESOLVED,
    (CaseState.WAITING, Action.CONTACT): CaseState.CONTACTED,
    (CaseState.WAITING, Action.RESOLVE): CaseState.RESOLVED,
    (CaseState.REOPENED, Action.CONTACT): CaseState.CONTACTED,
    (CaseState.REOPENED, Action.RESOLVE): CaseState.RESOLVED,
    (CaseState.RESOLVED, Action.REOPEN): CaseState.REOPENED,
}
_KEEP_STATE: Final = {Action.TAKE, Action.ASSIGN, Action.NOTE}
_MADE: Final = {
    Action.TAKE: "assigned",
    Action.ASSIGN: "assigned",
    Action.CONTACT: "contacted",
    Action.WAIT: "waiting",
    Action.RESOLVE: "resolved",
    Action.REOPEN: "reopened",
    Action.NOTE: "noted",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that a member does.

    Attributes:
        note: what the member did, in own words; kept sealed.
        owner: subject and name of the new owner, for `assign`.
        outcome_sealed: own words to the person, already sealed.
        told: the member has told the person what came of the case.
        send: the words to the person are to be sent.
        nature: complaint or viewpoint, with any step; none leaves it as it is.
    """

    action: Action
    note: str | None = None
    owner: tuple[str, str] | None = None
    cause: Cause | None = None
    attribution: Attribution | None = None
    place: Place | None = None
    outcome_sealed: bytes | None = None
    told: bool = False
    send: bool = False
    nature: Nature | None = None


def check_allowed(case: Case, step: Step, by: Member) -> None:
    """Check that the member's role at the case's desk allows the step.

    Raises:
        NotAllowed: it does not.
    """
    needed = Role.LEAD if step.action is Action.ASSIGN or _takes_over(case, step, by) else Role.AGENT
    if not by.may(needed, case.desk):
        who = "A lead" if needed is Role.LEAD else "An agent"
        raise NotAllowed(f"{who} of this terminal can do that. Your role here can read cases.")


def _takes_over(case: Case, step: Step, by: Member) -> bool:
    return step.action is Action.TAKE and case.owner not in {None, by.subject}


def perform(case: Case, step: Step, by: Member, now: datetime, due_at: datetime) -> tuple[Case, Entry]:
    """The case after the step, one revision on, and the line for its timeline.

    At `due_at` first contact is due if the clock starts now.

    Raises:
        Impossible: the state does not allow it, or something is missing.
    """
    state = case.state if step.action in _KEEP_STATE else MOVES.get((case.state, step.action))
    if state is None:
        raise Impossible(f"A case that is {case.state} cannot become {_MADE[step.action]}.")
    _check_words(case, step)
    after = replace(
        case,
        revision=case.revision + 1,
        state=state,
        changed_at=now,
        nature=step.nature or case.nature,
        outcome_told=case.outcome_told or step.told,
        outcome_sealed=step.outcome_sealed or case.outcome_sealed,
    )
    entry = Entry(_MADE[step.action], (by.subject, by.name), note=step.note)
    match step.action:
        case Action.TAKE:
            return _owned(after, entry, (by.subject, by.name))
        case Action.ASSIGN:
            return _owned(after, entry, step.owner)
        case Action.CONTACT:
            return _owned_if_nobodys(replace(after, contacted_at=case.contacted_at or now, due_at=None), by), entry
        case Action.RESOLVE:
            return _resolved(case, after, step, entry, now)
        case Action.REOPEN:
            return replace(after, resolved_at=None, due_at=due_at), entry
        case Action.NOTE if step.note is None:
            raise Impossible("A note needs words.")
    return after, entry


def _check_words(case: Case, step: Step) -> None:
    if step.send and not case.wants_contact:
        raise Impossible("The person did not ask to be contacted, so nothing can be sent.")
    if step.send and step.outcome_sealed is None:
        raise Impossible("Write the words to the person, then send them.")


def _owned(after: Case, entry: Entry, owner: tuple[str, str] | None) -> tuple[Case, Entry]:
    if owner is None:
        raise Impossible("Say who shall own the case.")
    return replace(after, owner=owner[0], owner_name=owner[1]), replace(entry, detail=f"To {owner[1]}")


def _owned_if_nobodys(after: Case, by: Member) -> Case:
    return after if after.owner is not None else replace(after, owner=by.subject, owner_name=by.name)


def _resolved(case: Case, after: Case, step: Step, entry: Entry, now: datetime) -> tuple[Case, Entry]:
    if case.wants_contact and case.due_at is not None:
        raise Impossible("The person wants to be contacted. Make contact first, then resolve the case.")
    if step.cause is None or step.attribution is None or step.place is None:
        raise Impossible("Choose cause, responsibility and where it arose, then resolve the case.")
    after = replace(
        after,
        cause=step.cause,
        attribution=step.attribution,
        place=step.place.value,
        controllable=step.place in CONTROLLABLE,
        resolved_at=now,
        due_at=None,
    )
    return after, replace(entry, detail=f"{step.cause}, {step.attribution}, {step.place}")
