"""Ends sessions of staff: for every process of the survey, and by a topic for the pages of the other services."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from schemas.staff import SessionEnded
from services.chassis.postgres import Database, Pool, named_sql
from services.chassis.staff import Member
from services.chassis.staff.gate import CookieGate
from services.chassis.staff.sign_outs import AWAY

log = structlog.get_logger()


def _sql() -> Mapping[str, str]:
    return named_sql("services.survey", "sign_outs.sql")


@dataclass(frozen=True, slots=True)
class SigningOut:
    """Makes a session void that a member signs out of."""

    pool: Pool
    gate: CookieGate
    sql: Mapping[str, str] = field(default_factory=_sql)

    async def end(self, member: Member) -> None:
        """End it: in this process in any case, elsewhere where it could be kept."""
        now = self.gate.now()
        self.gate.ended.sessions[member.session] = now
        told = SessionEnded(member=self.gate.sessions.alias(member.subject), session=member.session, ended_at=now)
        try:
            async with self.pool.acquire() as connection:
                await keep(connection, told, self.sql)
        except AWAY as error:
            log.warning("sign-out not kept", action="end_here_only", error=type(error).__name__)


async def end_all(connection: Database, alias: str, now: datetime) -> None:
    """End every session of a member, by the alias (`Sessions.alias`), that began before now."""
    await keep(connection, SessionEnded(member=alias, ended_at=now), _sql())


async def keep(connection: Database, ended: SessionEnded, sql: Mapping[str, str]) -> None:
    """Keep it and tell of it, in one commit."""
    event = ended.model_dump_json(exclude_none=True).encode()
    await connection.execute(sql["end_session"], ended.member, ended.session, ended.ended_at, event)
