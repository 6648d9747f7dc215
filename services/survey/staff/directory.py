"""Members of staff who signed in lately, and where they may work: whom a case can be given to."""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from services.chassis.postgres import Pool, named_sql
from services.chassis.staff import Member, Role

KEPT: Final = timedelta(days=90)
"""Who has not signed in for this long is forgotten."""


@dataclass(frozen=True, slots=True)
class Directory:
    """Notes each sign-in, and finds who may work on cases."""

    pool: Pool
    now: Callable[[], datetime]
    sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.survey", "staff_members.sql"))

    async def note(self, member: Member) -> None:
        """Note a member who signs in, with the roles of this sign-in."""
        now, roles = self.now(), {terminal: int(role) for terminal, role in member.roles.items()}
        async with self.pool.acquire() as connection, connection.transaction():
            await connection.execute(self.sql["forget_members"], now - KEPT)
            await connection.execute(self.sql["note_member"], member.subject, member.name, json.dumps(roles), now)

    async def working(self, terminals: Collection[str] | None) -> dict[str, str]:
        """Names by subject of those who may work on cases at any of the terminals; None: at any at all."""
        async with self.pool.acquire() as connection:
            rows = await connection.fetch(self.sql["members_since"], self.now() - KEPT)
        known = [Member(r["subject"], r["name"], _roles(r["roles"])) for r in rows]
        return {m.subject: m.name for m in known if _works(m, terminals)}


def _roles(text: str) -> Mapping[str, Role]:
    return {terminal: Role(role) for terminal, role in json.loads(text).items()}


def _works(member: Member, terminals: Collection[str] | None) -> bool:
    if terminals is None:
        return member.may(Role.AGENT)
    return any(member.may(Role.AGENT, terminal) for terminal in terminals)
