"""Answers open cases, add reasons to them and open them again: a reaction to the survey's own topic."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from schemas.feedback import CaseState
from schemas.response import ResponseRecorded
from services.chassis.ids import read_uuid
from services.chassis.postgres import Database, named_sql
from services.chassis.records import Received
from services.survey.cases import keeping
from services.survey.cases.case import Case, Entry, opened
from services.survey.cases.clock import WorkingClock, WorkingHours
from services.survey.cases.rules import CaseRules, Known, on_later_revision
from services.survey.followup import Responses


@dataclass(frozen=True, slots=True)
class Deadlines:
    """When first contact is due: so much working time, by the clock of the place of delivery."""

    hours: WorkingHours
    allowed: timedelta

    def clock_of(self, zone: str, country: str) -> WorkingClock:
        """The working clock of a place."""
        return WorkingClock(self.hours, zone, country)

    def due(self, start: datetime, zone: str, country: str) -> datetime:
        """When first contact is due for a wish that came at `start`."""
        return self.clock_of(zone, country).after(start, self.allowed)


@dataclass(frozen=True, slots=True)
class OpenCases:
    """Keeps at most one case for each response, from the highest revision of the answer only."""

    rules: CaseRules
    deadlines: Deadlines
    now: Callable[[], datetime]
    sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.survey", "cases.sql", "outcomes.sql"))

    async def __call__(self, connection: Database, batch: Responses, /) -> None:
        """Open and change cases, inside the fence's transaction."""
        current = await self._without_history(connection, batch)
        ids = [r.message.response_id for r in current]
        rows = await connection.fetch(self.sql["lock_of_responses"], ids)
        known = {row["response_id"]: Case.from_row(row) for row in rows}
        new = [r for r in current if r.message.response_id not in known]
        cases = [begun for r in new if (begun := self._opened(r)) is not None]
        if cases:
            await keeping.insert(connection, self.sql, cases)
        for received in current:
            if (case := known.get(received.message.response_id)) is not None:
                await self._change(connection, case, received.message)

    async def _without_history(self, connection: Database, batch: Responses) -> Responses:
        """The answers that still stand: what a person has changed since must not open a case when it comes again."""
        ids = [i for r in batch if (i := read_uuid(r.message.response_id)) is not None]
        rows = await connection.fetch(self.sql["current_revisions"], ids)
        standing = {row["response_id"]: row["revision"] for row in rows}
        return [r for r in batch if r.message.revision >= standing.get(r.message.response_id, 0)]

    def _opened(self, received: Received[ResponseRecorded]) -> tuple[Case, list[Entry]] | None:
        answer = received.message
        because = self.rules.triggers_of(answer)
        if not because:
            return None
        case = opened(
            answer,
            because,
            desk=self.rules.desk_of(answer.known),
            # The person waits since the answer, however long it took to arrive here.
            due_at=self.deadlines.due(answer.recorded_at, answer.known.zone, answer.known.country),
            now=self.now(),
            traceparent=received.traceparent,
        )
        given = None if answer.score is None else str(answer.score)
        return case, [
            Entry("answered", at=answer.answered_at, detail=given),
            Entry("opened", detail=", ".join(because)),
        ]

    async def _change(self, connection: Database, case: Case, answer: ResponseRecorded) -> None:
        if answer.revision <= case.response_revision:
            return
        knew = Known(case.state, case.opened_because, case.score, case.wants_contact, case.contested)
        later = on_later_revision(self.rules, knew, answer)
        after = replace(
            case,
            revision=case.revision + 1,
            response_revision=answer.revision,
            opened_because=later.opened_because,
            score=answer.score,
            reasons=answer.reasons,
            commented=answer.commented,
            wants_contact=answer.wants_contact,
            contested=answer.contested,
            language=answer.language,
            changed_at=self.now(),
        )
        added = ", ".join(t for t in later.opened_because if t not in case.opened_because)
        entries = await self._told(connection, answer)
        if later.reopens:
            delivery = answer.known
            due_at = self.deadlines.due(answer.recorded_at, delivery.zone, delivery.country)
            after = replace(after, state=CaseState.REOPENED, resolved_at=None, due_at=due_at)
            entries.append(Entry("reopened", detail=added or None))
        if answer.erased:
            after = replace(after, outcome_sealed=None)
            await connection.execute(self.sql["forget_words"], case.case_id)
            await connection.execute(self.sql["forget_outcomes"], case.case_id)
        await keeping.update(connection, self.sql, after, entries)

    async def _told(self, connection: Database, answer: ResponseRecorded) -> list[Entry]:
        """What the person did; a revision that staff made by saying whom the answer is about has its own line."""
        if await connection.fetchval(self.sql["relabelled"], read_uuid(answer.response_id), answer.revision):
            return []
        what = "erased" if answer.erased else "answer_changed"
        return [Entry(what, at=answer.answered_at, detail=None if answer.score is None else str(answer.score))]
