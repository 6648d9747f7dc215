"""Opens the contact data that a person left with an answer."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog

from services.chassis.persons import PersonKeys, Sealed
from services.chassis.postgres import Database, named_sql
from services.survey.cases.shown import Contact

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class SealedContacts:
    """Contact wishes as the answers keep them."""

    persons: PersonKeys
    sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.survey", "cases.sql"))

    async def __call__(self, connection: Database, response_id: uuid.UUID) -> Contact | None:
        """How to reach the person; None where nothing is kept any more."""
        row = await connection.fetchrow(self.sql["contact_wish"], response_id)
        if row is None:
            return None
        sealed = Sealed(row["person"], row["sealed"], f"contact {row['row']}")
        [text] = await self.persons.open_all(connection, [sealed])
        if text is None:
            log.warning("contact data cannot be opened", action="skip", response_id=str(response_id))
            return None
        told = json.loads(text)
        return Contact(told["name"] or None, told["address"])
