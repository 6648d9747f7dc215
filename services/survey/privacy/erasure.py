"""Erasing a person at the survey: the key, comments, contact wishes and links go; scores stay (D21, E24)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from schemas.recipient import PersonErased
from services.chassis.failures import Poison
from services.chassis.persons import PersonKeys, read_person
from services.chassis.postgres import Database, named_sql
from services.chassis.records import Received


@dataclass(frozen=True, slots=True)
class ErasePersons:
    """Erases whom the notifier tells of, inside the fence's transaction.

    Every answer of the person gets one more revision, marked as erased: the counters keep the score, and whoever
    keeps more about the answer (cases, praise, search) takes it as the sign to let go.
    """

    persons: PersonKeys
    sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.survey", "queries.sql", "persons.sql"))

    async def __call__(self, connection: Database, erasures: Sequence[Received[PersonErased]]) -> None:
        """Erase. One that is told again, or that is older than the last, changes nothing.

        Raises:
            Poison: a person id is none of ours.
        """
        await connection.execute(self.sql["lock_erasing"])  # of nobody may an invitation become known meanwhile
        for received in erasures:
            erased = received.message
            if (person := read_person(erased.person_id)) is None:
                raise Poison("no_person_id", "a person id has 32 hex digits")
            if await self.persons.destroy(connection, person, erased.requested_at):
                await self._forget(connection, erased.person_id, erased.requested_at)

    async def _forget(self, connection: Database, person_id: str, until: datetime) -> None:
        # First, for it waits for words that are on their way: these are then seen by what follows.
        await connection.execute(self.sql["break_links"], person_id, until)
        rows = await connection.fetch(self.sql["erase_responses"], person_id, until)
        responses = [r["response_id"] for r in rows]
        await connection.execute(self.sql["forget_contact_wishes"], responses)
        await connection.execute(self.sql["tell_responses"], responses)
