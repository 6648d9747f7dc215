"""Erasing a person at the notifier: the key goes, what was planned is withdrawn, and every service is told (D21)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from schemas.delivery import ChannelKind, ContactChannel
from schemas.invitation import Outcome
from schemas.recipient import PersonErased
from schemas.topics import PERSON_ERASED
from services.chassis.persons import Person, PersonKeys
from services.chassis.postgres import Database, named_sql
from services.chassis.sealing import Seal
from services.notifier import policy
from services.notifier.telling import Event, changes, tell


@dataclass(frozen=True, slots=True)
class Erasure:
    """What an erasure did.

    Attributes:
        known: whether anything was ever kept of the person; where not, the address may be misspelt.
        before: when the person was erased before, with nothing come since; all else is then nought.
    """

    person: Person
    known: bool = True
    before: datetime | None = None
    withdrawn: int = 0
    messages: int = 0


def person_of(seal: Seal, kind: ChannelKind, address: str) -> Person:
    """The pseudonym of whoever has this address, in any spelling that decisions take for the same."""
    return seal.pseudonym(policy.normalised(ContactChannel(kind=kind, address=address)))


@dataclass(frozen=True, slots=True)
class Eraser:
    """Erases persons, each in the transaction that is handed in."""

    persons: PersonKeys
    sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.notifier", "queries.sql", "erasure.sql"))

    async def __call__(self, connection: Database, person: Person, now: datetime) -> Erasure:
        """Erase; who is erased already, with no new relation since, is left as is and nobody is told again."""
        known = (await self.persons.look_up(connection, [person]))[person]
        if known.wrapped is None and known.erased_at is not None:
            return Erasure(person, before=known.erased_at)
        # A delivery may be dated a little ahead, and a clock be behind: what is known now goes, whatever they say.
        latest = await connection.fetchval(self.sql["latest_delivery"], person)
        at = max(now, latest) if latest is not None else now
        if not await self.persons.destroy(connection, person, at):
            return Erasure(person, before=known.erased_at)
        withdrawn = await connection.fetch(self.sql["withdraw_invitations"], person)
        await connection.execute(self.sql["forget_secrets"], person)
        await connection.execute(self.sql["forget_unreachable"], person)
        forgotten = await connection.execute(self.sql["forget_messages"], person)
        await tell(connection, self.sql, changes(withdrawn, Outcome.SUPPRESSED, now, "erased"))
        erased = PersonErased(person_id=person.hex(), requested_at=at)
        event = Event(person.hex(), erased.model_dump_json().encode(), None)
        await tell(connection, self.sql, [event], PERSON_ERASED)
        ever = known.wrapped is not None or known.erased_at is not None
        return Erasure(person, ever, None, len(withdrawn), int(forgotten.rpartition(" ")[2]))
