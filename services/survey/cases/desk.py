"""What a member of staff does with cases, on PostgreSQL; what they see is `queries.py`."""

import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import asyncpg

from schemas.response import RatedParty
from services.chassis.metrics import Metrics
from services.chassis.postgres import Database, Pool, named_sql
from services.chassis.sealing import Box
from services.chassis.staff import Member, Role
from services.survey.answers.relabelling import ChangedSince, Relabelling
from services.survey.cases import keeping
from services.survey.cases.case import Case
from services.survey.cases.opening import Deadlines
from services.survey.cases.queries import CaseQueries, response_of
from services.survey.cases.shown import Contact, Listed
from services.survey.cases.work import Action, Step, check_allowed, perform
from services.survey.privacy.contact_views import record_view
from services.survey.staff.refusals import Impossible, NotAllowed, NotThere, Stale

_VIEWED_FOR = "case"

Contacts = Callable[[Database, uuid.UUID], Awaitable[Contact | None]]
"""Opens the contact data that a person left with a response; None where there is none any more."""


@dataclass(frozen=True, slots=True)
class CaseDesk:
    """Changes cases for one member at a time; a step, its timeline and its event are kept together."""

    cases: CaseQueries
    pool: Pool
    notes: Box
    contacts: Contacts
    deadlines: Deadlines
    metrics: Metrics
    now: Callable[[], datetime]
    wake: Callable[[], None]
    relabelling: Relabelling
    sends: str
    """What staff can have done with words to a person, see `ways_out`; empty: nothing."""
    sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.survey", "cases.sql", "outcomes.sql"))

    async def relabel(self, member: Member, serial: int, seen: int, rated: RatedParty, reason: str) -> None:
        """Say whom the answer of a case is about; leads only, since it moves the counters.

        Raises:
            NotThere: see `CaseQueries.one`.
            NotAllowed: the member is no lead of this terminal.
            Stale: the answer was changed after its revision `seen`; nothing was kept.
        """
        case = (await self.cases.one(member, serial)).case
        if not member.may(Role.LEAD, case.desk):
            raise NotAllowed("A lead of this terminal can say whom an answer is about: it changes what is counted.")
        response_id = response_of(case)
        by = (member.subject, member.name)
        try:
            if response_id is None or await self.relabelling.relabel(response_id, rated, by, reason, seen) is None:
                raise NotThere
        except ChangedSince:
            raise Stale from None

    async def contact(self, member: Member, serial: int) -> tuple[Listed, Contact | None]:
        """The case and how to reach the person, after the view was noted.

        Raises:
            NotThere: see `CaseQueries.one`.
            NotAllowed: the member may not work on the case.
        """
        listed = await self.cases.one(member, serial)
        check_allowed(listed.case, Step(action=Action.NOTE), member)
        response_id = response_of(listed.case)
        async with self.pool.acquire() as connection:
            found = await self.contacts(connection, response_id) if response_id else None
            if found is not None and response_id is not None:
                await record_view(connection, member, response_id, _VIEWED_FOR)
        return listed, found

    async def perform(self, member: Member, serial: int, revision: int, step: Step) -> Case:
        """Do one thing with a case; row, timeline and event are kept together.

        Raises:
            NotThere, NotAllowed, Impossible: nothing was kept.
            Stale: somebody else changed the case after `revision`; nothing was kept.
        """
        [case] = await self._perform(member, {serial: revision}, step)
        return case

    async def assign(self, member: Member, revisions: Mapping[int, int], owner: tuple[str, str]) -> int:
        """Give several cases to one member, all or none. Returns how many.

        Args:
            member: who gives them.
            revisions: of each case, by its serial, as the page showed it.
            owner: subject and name of who gets them.

        Raises:
            NotThere, NotAllowed: nothing was kept.
            Stale: somebody else changed one of them since; nothing was kept.
        """
        return len(await self._perform(member, revisions, Step(action=Action.ASSIGN, owner=owner)))

    async def _perform(self, member: Member, revisions: Mapping[int, int], step: Step) -> list[Case]:
        now = self.now()
        changed: list[tuple[Case, Case]] = []
        async with self.pool.acquire() as connection, connection.transaction():
            rows = await connection.fetch(self.sql["lock_cases"], list(revisions))
            cases = [case for case in map(Case.from_row, rows) if member.may(Role.READER, case.desk)]
            if len(cases) != len(revisions):
                raise NotThere
            for case in cases:
                check_allowed(case, step, member)
                if case.revision != revisions[case.serial]:
                    raise Stale
                due_at = self.deadlines.due(now, case.delivery.zone, case.delivery.country)
                after, entry = perform(case, step, member, now, due_at)
                await keeping.update(connection, self.sql, after, [entry], self.notes)
                if step.send:
                    await self._plan(connection, after, step, member)
                changed.append((case, after))
        self.wake()
        self._account(changed)
        return [after for _, after in changed]

    async def _plan(self, connection: Database, case: Case, step: Step, member: Member) -> None:
        """Let the words to the person leave, in the transaction that keeps the step."""
        if not self.sends:
            raise Impossible("No words can be sent from here. Tell the person yourself, then say so.")
        given = (case.case_id, step.outcome_sealed, member.subject, member.name, case.changed_at)
        try:
            await connection.execute(self.sql["plan_outcome"], *given)
        except asyncpg.UniqueViolationError:
            raise Impossible("Words to the person are on their way already. Wait until they are sent.") from None

    def _account(self, changed: Iterable[tuple[Case, Case]]) -> None:
        for before, after in changed:
            if before.contacted_at is None and after.contacted_at is not None:
                seconds = (after.contacted_at - after.opened_at).total_seconds()
                self.metrics.observe("kvittera_case_first_contact_seconds", seconds)
