"""The cases that a member of staff may see, and what they do with them, on PostgreSQL."""

import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import asyncpg

from schemas.response import RatedParty
from services.chassis.metrics import Metrics
from services.chassis.postgres import Database, Pool, named_sql
from services.chassis.sealing import Box
from services.chassis.staff import Member, Role
from services.survey.answers.relabelling import Relabelling
from services.survey.cases import keeping
from services.survey.cases.case import Case, local_day
from services.survey.cases.filters import Filters
from services.survey.cases.opening import Deadlines
from services.survey.cases.shown import Contact, Line, Listed, Standing, Tabs, searched
from services.survey.cases.work import Action, ImpossibleMove, NotAllowed, Step, check_allowed, perform
from services.survey.privacy.contact_views import record_view
from services.survey.staff.directory import Directory

MOST = 200
_SEARCHED = 2000
_VIEWED_FOR = "case"

Comments = Callable[[Database, Iterable[uuid.UUID]], Awaitable[Mapping[uuid.UUID, str]]]
"""Opens sealed comments; those that were erased or cannot be opened are missing."""


Contacts = Callable[[Database, uuid.UUID], Awaitable[Contact | None]]
"""Opens the contact data that a person left with a response; None where there is none any more."""


class NotThere(Exception):
    """There is no such case, or it is none of this member's business; both look the same."""


@dataclass(frozen=True, slots=True)
class CaseDesk:
    """Reads and changes cases for one member at a time; nothing of another desk ever leaves here."""

    pool: Pool
    notes: Box
    comments: Comments
    contacts: Contacts
    deadlines: Deadlines
    metrics: Metrics
    now: Callable[[], datetime]
    wake: Callable[[], None]
    relabelling: Relabelling
    directory: Directory
    sends: str
    """How words to a person leave, as staff read it; empty: they do not."""
    sql: Mapping[str, str] = field(
        default_factory=lambda: {
            **named_sql("services.survey", "cases.sql"),
            **named_sql("services.survey", "outcomes.sql"),
        }
    )

    async def listed(self, member: Member, filters: Filters, most: int = MOST) -> list[Listed]:
        """Return the cases of this view, the most urgent first. Text is looked for in the 2,000 most urgent."""
        terminals = _terminals(member, Role.READER)
        async with self.pool.acquire() as connection:
            rows = await connection.fetch(
                self.sql["list_cases"],
                filters.states,
                terminals,
                filters.terminal or None,
                filters.trigger or None,
                member.subject if filters.tab == "mine" else None,
                filters.day,
                filters.reason or None,
                _SEARCHED if filters.text else most,
            )
            listed = await self._with_comments(connection, member, rows)
        wanted = filters.text.casefold()
        return [one for one in listed if not wanted or wanted in searched(one)][:most]

    async def one(self, member: Member, serial: int) -> Listed:
        """Return one case.

        Raises:
            NotThere: it does not exist, or the member may not see it.
        """
        async with self.pool.acquire() as connection:
            row = await connection.fetchrow(self.sql["one_case"], serial, _terminals(member, Role.READER))
            if row is None:
                raise NotThere
            return (await self._with_comments(connection, member, [row]))[0]

    async def _with_comments(
        self, connection: Database, member: Member, rows: Sequence[asyncpg.Record]
    ) -> list[Listed]:
        cases = [Case.from_row(row) for row in rows]
        ids = {c.serial: i for c in cases if c.commented and (i := _uuid(c)) and member.may(Role.AGENT, c.desk)}
        texts = await self.comments(connection, ids.values()) if ids else {}
        return [Listed(c, texts.get(ids[c.serial]) if c.serial in ids else None) for c in cases]

    async def history(self, member: Member, case: Case) -> list[Line]:
        """Return the case's timeline, oldest first; notes only for those who may work on it."""
        async with self.pool.acquire() as connection:
            rows = await connection.fetch(self.sql["entries"], case.case_id, _uuid(case))
        may = member.may(Role.AGENT, case.desk)
        row_key = str(case.case_id)
        return [
            Line(
                r["what"],
                r["by_name"],
                r["happened_at"],
                r["detail"],
                self.notes.open(r["note_sealed"], row_key) if may and r["note_sealed"] else None,
            )
            for r in rows
        ]

    async def standing(self, member: Member, case: Case) -> Standing:
        """Return whom the answer is about, and where the words to the person stand."""
        async with self.pool.acquire() as connection:
            rated = await connection.fetchval(self.sql["rated_of"], _uuid(case))
            row = await connection.fetchrow(self.sql["latest_outcome"], case.case_id)
        party = RatedParty(rated) if rated else None
        if row is None:
            return Standing(party)
        readable = row["kept_sealed"] is not None and member.may(Role.AGENT, case.desk)
        kept = self.notes.open(row["kept_sealed"], f"kept {row['message_id']}") if readable else None
        return Standing(party, row["state"], row["reason"], kept)

    async def relabel(self, member: Member, serial: int, rated: RatedParty, reason: str) -> None:
        """Say whom the answer of a case is about; leads only, since it moves the counters.

        Raises:
            NotThere: see `one`.
            NotAllowed: the member is no lead of this terminal.
        """
        case = (await self.one(member, serial)).case
        if not member.may(Role.LEAD, case.desk):
            raise NotAllowed("A lead of this terminal can say whom an answer is about: it changes what is counted.")
        response_id = _uuid(case)
        by = (member.subject, member.name)
        if response_id is None or await self.relabelling.relabel(response_id, rated, by, reason) is None:
            raise NotThere

    async def tabs(self, member: Member) -> Tabs:
        """Return how many cases stand on the first three tabs."""
        row = await self._fetchrow("tabs", _terminals(member, Role.READER), member.subject)
        return Tabs(row["open"], row["mine"], row["contacted"], row["praise"])

    async def desks(self, member: Member) -> list[str]:
        """Return the desks that have cases."""
        async with self.pool.acquire() as connection:
            rows = await connection.fetch(self.sql["desks"], _terminals(member, Role.READER))
        return [r["desk"] for r in rows]

    async def owners(self, member: Member) -> dict[str, str]:
        """Return whom a case can be given to, by subject: the member, who owns a case here, who may work here."""
        terminals = _terminals(member, Role.READER)
        async with self.pool.acquire() as connection:
            rows = await connection.fetch(self.sql["owners"], terminals)
        owning = {r["owner"]: r["owner_name"] for r in rows}
        return {member.subject: member.name} | owning | await self.directory.working(terminals)

    async def same_day(self, case: Case, about: str) -> tuple[int, int]:
        """Return how many cases of the same desk, day and reason there are, and how many of them are open."""
        row = await self._fetchrow("same_day", case.desk, local_day(case.delivery), about)
        return row["cases"], row["open"]

    async def contact(self, member: Member, serial: int) -> tuple[Listed, Contact | None]:
        """Return the case and how to reach the person, after the view was noted.

        Raises:
            NotThere: see `one`.
            NotAllowed: the member may not work on the case.
        """
        listed = await self.one(member, serial)
        check_allowed(listed.case, Step(action=Action.NOTE), member)
        response_id = _uuid(listed.case)
        async with self.pool.acquire() as connection:
            found = await self.contacts(connection, response_id) if response_id else None
            if found is not None and response_id is not None:
                await record_view(connection, member, response_id, _VIEWED_FOR)
        return listed, found

    async def perform(self, member: Member, serial: int, revision: int, step: Step) -> Case:
        """Do one thing with a case; row, timeline and event are kept together.

        Raises:
            NotThere, NotAllowed, ImpossibleMove: nothing was kept.
            Stale: somebody else changed the case after `revision`; nothing was kept.
        """
        [case] = await self._perform(member, [serial], step, revision)
        return case

    async def assign(self, member: Member, serials: Sequence[int], owner: tuple[str, str]) -> int:
        """Give several cases to one member, all or none. Returns how many.

        Raises:
            NotThere, NotAllowed: nothing was kept.
        """
        return len(await self._perform(member, serials, Step(action=Action.ASSIGN, owner=owner), None))

    async def _perform(self, member: Member, serials: Sequence[int], step: Step, revision: int | None) -> list[Case]:
        now = self.now()
        changed: list[tuple[Case, Case]] = []
        async with self.pool.acquire() as connection, connection.transaction():
            rows = await connection.fetch(self.sql["lock_cases"], serials)
            cases = [case for case in map(Case.from_row, rows) if member.may(Role.READER, case.desk)]
            if len(cases) != len(set(serials)):
                raise NotThere
            for case in cases:
                check_allowed(case, step, member)
                if revision is not None and case.revision != revision:
                    raise keeping.Stale
                place = case.delivery
                after, entry = perform(
                    case,
                    step,
                    member,
                    now,
                    lambda p=place: self.deadlines.due(now, p.zone, p.country),  # type: ignore[misc]
                )
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
            raise ImpossibleMove("No words can be sent from here. Tell the person yourself, then say so.")
        given = (case.case_id, step.outcome_sealed, member.subject, member.name, case.changed_at)
        try:
            await connection.execute(self.sql["plan_outcome"], *given)
        except asyncpg.UniqueViolationError:
            raise ImpossibleMove("Words to the person are on their way already. Wait until they are sent.") from None

    def _account(self, changed: Iterable[tuple[Case, Case]]) -> None:
        for before, after in changed:
            if before.contacted_at is None and after.contacted_at is not None:
                seconds = (after.contacted_at - after.opened_at).total_seconds()
                self.metrics.observe("kvittera_case_first_contact_seconds", seconds)

    async def _fetchrow(self, name: str, *arguments: Any) -> asyncpg.Record:
        async with self.pool.acquire() as connection:
            row = await connection.fetchrow(self.sql[name], *arguments)
        assert row is not None  # aggregates always answer
        return row


def _terminals(member: Member, role: Role) -> list[str] | None:
    terminals = member.terminals(role)
    return None if terminals is None else sorted(terminals)


def _uuid(case: Case) -> uuid.UUID | None:
    try:
        return uuid.UUID(case.response_id)
    except ValueError:
        return None
