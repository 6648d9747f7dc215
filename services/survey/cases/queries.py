"""The cases that a member of staff may see, on PostgreSQL; nothing of another desk ever leaves here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import asyncpg

from schemas.response import RatedParty
from services.chassis.ids import read_uuid
from services.chassis.postgres import Database, Pool, named_sql
from services.chassis.sealing import Box
from services.chassis.staff import Member, Role
from services.survey.cases.case import Case, local_day
from services.survey.cases.filters import Filters
from services.survey.cases.shown import Line, Listed, Standing, Tabs, searched
from services.survey.comments.texts import Texts
from services.survey.staff.directory import Directory
from services.survey.staff.refusals import NotThere

MOST = 200
_SEARCHED = 2000
_RESOLVED_READ = 50_000


@dataclass(frozen=True, slots=True)
class CaseQueries:
    """Reads cases for one member at a time."""

    pool: Pool
    notes: Box
    texts: Texts
    directory: Directory
    sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.survey", "cases.sql", "outcomes.sql"))

    async def listed(self, member: Member, filters: Filters, most: int = MOST) -> list[Listed]:
        """The cases of this view, the most urgent first. Text is looked for in the 2,000 most urgent.

        Of resolved cases the 50,000 that changed last, at these terminals and on this day, are looked through.
        """
        where = (
            filters.states,
            member.terminals(Role.READER),
            filters.terminal or None,
            filters.trigger or None,
            member.subject if filters.tab == "mine" else None,
            filters.day,
            filters.reason or None,
        )
        async with self.pool.acquire() as connection:
            async with connection.transaction(readonly=True):
                # Filters that are not set must not shape the plan: each call has its own.
                await connection.execute("SET LOCAL plan_cache_mode = force_custom_plan")
                rows = await connection.fetch(
                    self.sql["list_cases"], *where, _SEARCHED if filters.text else most, _RESOLVED_READ
                )
            listed = await self._with_comments(connection, member, rows)
        wanted = filters.text.casefold()
        return [one for one in listed if not wanted or wanted in searched(one)][:most]

    async def one(self, member: Member, serial: int) -> Listed:
        """One case.

        Raises:
            NotThere: it does not exist, or the member may not see it.
        """
        async with self.pool.acquire() as connection:
            row = await connection.fetchrow(self.sql["one_case"], serial, member.terminals(Role.READER))
            if row is None:
                raise NotThere
            return (await self._with_comments(connection, member, [row]))[0]

    async def _with_comments(
        self, connection: Database, member: Member, rows: Sequence[asyncpg.Record]
    ) -> list[Listed]:
        cases = [Case.from_row(row) for row in rows]
        ids = {c.serial: i for c in cases if c.commented and (i := response_of(c)) and member.may(Role.AGENT, c.desk)}
        texts = await self.texts.of(connection, ids.values()) if ids else {}
        found = {serial: texts[i].text for serial, i in ids.items() if i in texts}
        return [Listed(c, found.get(c.serial)) for c in cases]

    async def history(self, member: Member, case: Case) -> list[Line]:
        """The case's timeline, oldest first; notes only for those who may work on it."""
        async with self.pool.acquire() as connection:
            rows = await connection.fetch(self.sql["entries"], case.case_id, response_of(case))
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
        """Whom the answer is about, and where the words to the person stand."""
        async with self.pool.acquire() as connection:
            answer = await connection.fetchrow(self.sql["rated_of"], response_of(case))
            row = await connection.fetchrow(self.sql["latest_outcome"], case.case_id)
        answered = Standing(RatedParty(answer["rated"]), answer["revision"]) if answer else Standing()
        if row is None:
            return answered
        readable = row["kept_sealed"] is not None and member.may(Role.AGENT, case.desk)
        kept = self.notes.open(row["kept_sealed"], f"kept {row['message_id']}") if readable else None
        return replace(answered, sent=row["state"], reason=row["reason"], kept=kept)

    async def tabs(self, member: Member) -> Tabs:
        """How many cases stand on the first three tabs."""
        row = await self._fetchrow("tabs", member.terminals(Role.READER), member.subject)
        return Tabs(row["open"], row["mine"], row["contacted"], row["praise"])

    async def desks(self, member: Member) -> list[str]:
        """The desks that have cases."""
        async with self.pool.acquire() as connection:
            rows = await connection.fetch(self.sql["desks"], member.terminals(Role.READER))
        return [r["desk"] for r in rows]

    async def owners(self, member: Member) -> dict[str, str]:
        """Whom a case can be given to, by subject: the member, who owns one at work here, who may work here."""
        terminals = member.terminals(Role.READER)
        async with self.pool.acquire() as connection:
            rows = await connection.fetch(self.sql["owners"], terminals)
        owning = {r["owner"]: r["owner_name"] for r in rows}
        return {member.subject: member.name} | owning | await self.directory.working(terminals)

    async def same_day(self, case: Case, about: str) -> tuple[int, int]:
        """How many cases of the same desk, day and reason there are, and how many of them are open."""
        row = await self._fetchrow("same_day", case.desk, local_day(case.delivery), about)
        return row["cases"], row["open"]

    async def _fetchrow(self, name: str, *arguments: Any) -> asyncpg.Record:
        async with self.pool.acquire() as connection:
            row = await connection.fetchrow(self.sql[name], *arguments)
        assert row is not None  # aggregates always answer
        return row


def response_of(case: Case) -> UUID | None:
    """The response that the case is about; None where its id is none of ours."""
    return read_uuid(case.response_id)
