"""What is praise, and how it moves from waiting to the board. Pure: decisions take all they need."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from schemas.response import RatedParty, ResponseRecorded
from services.chassis.staff import Member, Role
from services.survey.staff.refusals import Impossible

_BEST_HALF: Final = 4
"""Only this score and above is ever praise: below it, the same chips say what went wrong."""

PassOnBy = Callable[[datetime, str, str], datetime]
"""When praise given at a moment must have been passed on, by time zone and country of the delivery."""


class State(StrEnum):
    """Where praise stands."""

    WAITING = "waiting"
    PASSED_ON = "passed_on"
    ON_BOARD = "on_board"
    DISPUTED = "disputed"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"


class Act(StrEnum):
    """What staff can do with praise."""

    PASS_ON = "pass_on"  # noqa: S105 no password
    APPROVE = "approve"
    TAKE_DOWN = "take_down"
    DECLINE = "decline"
    DISPUTE = "dispute"
    RESTORE = "restore"
    UPHOLD = "uphold"
    RECONSIDER = "reconsider"


_MOVES: Final = {
    Act.PASS_ON: ({State.WAITING}, State.PASSED_ON),
    Act.APPROVE: ({State.PASSED_ON}, State.ON_BOARD),
    Act.TAKE_DOWN: ({State.ON_BOARD}, State.PASSED_ON),
    Act.DECLINE: ({State.WAITING, State.PASSED_ON}, State.DECLINED),
    Act.DISPUTE: ({State.PASSED_ON, State.ON_BOARD}, State.DISPUTED),
    Act.RESTORE: ({State.DISPUTED}, State.PASSED_ON),
    Act.UPHOLD: ({State.DISPUTED}, State.DECLINED),
    Act.RECONSIDER: ({State.DECLINED}, State.WAITING),
}
_FOR_LEADS: Final = frozenset({Act.APPROVE, Act.RESTORE, Act.UPHOLD, Act.RECONSIDER})


@dataclass(frozen=True, slots=True)
class Rules:
    """Which answers are praise.

    Attributes:
        from_score: with a comment, this score and above.
        chips: each of these reasons alone, with a score of 4 or 5.
    """

    from_score: int = 4
    chips: frozenset[str] = frozenset({"courtesy"})

    def is_praise(self, answer: ResponseRecorded) -> bool:
        """Whether the answer, as it stands now, praises the carrier or the service point."""
        if answer.score is None or answer.score < _BEST_HALF or answer.contested or answer.suspected_machine:
            return False
        if answer.rated is RatedParty.SHOP:
            return False
        return (answer.score >= self.from_score and answer.commented) or not self.chips.isdisjoint(answer.reasons)


@dataclass(frozen=True, slots=True)
class Praise:
    """One praise as it stands; the fields are those of the table.

    Attributes:
        withdrawn_from: the state that it was withdrawn from; it says nothing while it is not withdrawn.
    """

    praise_id: str
    revision: int
    response_revision: int
    state: State
    score: int
    reasons: tuple[str, ...]
    comment_digest: bytes | None
    masks: tuple[int, ...]
    carrier: str
    terminal: str | None
    route: str | None
    driver: str | None
    service_point: str | None
    method: str
    country: str
    zone: str
    occurred_at: datetime
    praised_at: datetime
    pass_on_by: datetime
    passed_on_at: datetime | None = None
    owner: str | None = None
    owner_name: str | None = None
    withdrawn_from: State | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """A new state of praise, and the word for it in the timeline; no word where nobody need be told."""

    praise: Praise
    what: str | None


def after_answer(
    stored: Praise | None, answer: ResponseRecorded, digest: bytes | None, rules: Rules, pass_on_by: PassOnBy
) -> Change | None:
    """What an answer makes of the praise in it; None where nothing changes.

    Args:
        stored: the praise as it stands.
        answer: the answer in its newest revision.
        digest: of the sealed comment, None without one.
        rules: which answers are praise.
        pass_on_by: the clock of praise.
    """
    if stored is None:
        if not rules.is_praise(answer):
            return None
        return Change(_fresh(answer, digest, pass_on_by), "opened")
    if answer.revision <= stored.response_revision:
        return None
    seen = replace(stored, response_revision=answer.revision)
    if not rules.is_praise(answer):
        if stored.state is State.WITHDRAWN:
            return Change(seen, None)
        gone = replace(
            seen,
            state=State.WITHDRAWN,
            withdrawn_from=stored.state,
            masks=stored.masks if digest == stored.comment_digest else (),
            comment_digest=digest,
            revision=stored.revision + 1,
        )
        return Change(gone, "withdrawn")
    return _changed(seen, _fresh(answer, digest, pass_on_by))


def act(praise: Praise, wanted: Act, now: datetime, masks: tuple[int, ...] = ()) -> Praise:
    """The praise after staff did something with it.

    Raises:
        Impossible: its state does not allow that, or there is no comment to put on the board.
    """
    possible, to = _MOVES[wanted]
    if praise.state not in possible:
        raise Impossible(f"Praise that is {praise.state.replace('_', ' ')} does not allow this")
    if wanted is Act.APPROVE and praise.comment_digest is None:
        raise Impossible("There is no comment to put on the board")
    if wanted is Act.RECONSIDER and praise.passed_on_at is not None:
        to = State.PASSED_ON
    return replace(
        praise,
        state=to,
        revision=praise.revision + 1,
        masks=tuple(sorted({*praise.masks, *masks})) if wanted is Act.APPROVE else praise.masks,
        passed_on_at=now if wanted is Act.PASS_ON else praise.passed_on_at,
    )


def role_for(wanted: Act) -> Role:
    """The role that a member needs at the praise's terminal."""
    return Role.LEAD if wanted in _FOR_LEADS else Role.AGENT


def may(member: Member, role: Role, terminal: str | None) -> bool:
    """Whether a member has a role for praise; without a terminal it belongs to those who have the role everywhere."""
    return member.terminals(role) is None if terminal is None else member.may(role, terminal)


def possible_acts(praise: Praise) -> tuple[Act, ...]:
    """What can be done with praise in its state, by those who may."""
    return tuple(
        wanted
        for wanted, (states, _) in _MOVES.items()
        if praise.state in states and not (wanted is Act.APPROVE and praise.comment_digest is None)
    )


def _fresh(answer: ResponseRecorded, digest: bytes | None, pass_on_by: PassOnBy) -> Praise:
    facts = answer.known
    assert answer.score is not None
    return Praise(
        praise_id=answer.response_id,
        revision=1,
        response_revision=answer.revision,
        state=State.WAITING,
        score=answer.score,
        reasons=answer.reasons,
        comment_digest=digest,
        masks=(),
        carrier=facts.carrier,
        terminal=facts.terminal,
        route=facts.route,
        driver=facts.driver,
        service_point=facts.service_point,
        method=facts.method,
        country=facts.country,
        zone=facts.zone,
        occurred_at=facts.occurred_at,
        praised_at=answer.answered_at,
        pass_on_by=pass_on_by(answer.answered_at, facts.zone, facts.country),
    )


def _changed(seen: Praise, fresh: Praise) -> Change:
    """Praise that stays praise: its place in the queue stays too, but another comment must be judged again."""
    state = seen.state
    masks = seen.masks
    if state is State.WITHDRAWN:
        state = _back_from(seen)
    if fresh.comment_digest != seen.comment_digest:
        masks = ()
        state = State.PASSED_ON if state is State.ON_BOARD else state
    moved = replace(
        fresh,
        revision=seen.revision,
        state=state,
        masks=masks,
        praised_at=seen.praised_at,
        pass_on_by=seen.pass_on_by,
        passed_on_at=seen.passed_on_at,
        owner=seen.owner,
        owner_name=seen.owner_name,
        withdrawn_from=seen.withdrawn_from,
    )
    if moved == seen:
        return Change(moved, None)
    return Change(replace(moved, revision=seen.revision + 1), "changed")


def _back_from(withdrawn: Praise) -> State:
    """The recipient undoes nothing that staff decided; only what hung on the board must be approved again."""
    if withdrawn.withdrawn_from in {State.DISPUTED, State.DECLINED}:
        return withdrawn.withdrawn_from
    return State.WAITING if withdrawn.passed_on_at is None else State.PASSED_ON
