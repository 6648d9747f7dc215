"""Every view of a person's contact data leaves a row: who looked, at which answer, when and why."""

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from uuid import UUID

from services.chassis.postgres import Database, named_sql
from services.chassis.staff import Member


@dataclass(frozen=True, slots=True)
class View:
    """One look at the contact data of an answer."""

    viewed_at: datetime
    subject: str
    member: str
    response_id: UUID
    reason: str


@cache
def _sql(name: str) -> str:
    return named_sql("services.survey", "contact_views.sql")[name]


async def record_view(connection: Database, member: Member, response_id: UUID, reason: str) -> None:
    """Note a view; show the contact data only after this has committed."""
    await connection.execute(_sql("record_view"), member.subject, member.name, response_id, reason)


async def views(
    connection: Database,
    since: datetime,
    *,
    subject: str | None = None,
    response_id: UUID | None = None,
    limit: int = 1000,
) -> list[View]:
    """Views since a moment, newest first, of one member or of one answer where asked for."""
    return [View(*row) for row in await connection.fetch(_sql("views"), since, subject, response_id, limit)]
