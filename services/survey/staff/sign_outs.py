"""Ends sessions of staff for every process of the survey, which shows all contact data."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import asyncpg
import structlog

from services.chassis.pauses import pause_or_stop
from services.chassis.postgres import Database, Pool, named_sql
from services.chassis.staff import Member
from services.chassis.staff.ended import Ended

log = structlog.get_logger()
_AWAY = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError)
_LOOK_EVERY = 5.0


def _sql() -> Mapping[str, str]:
    return named_sql("services.survey", "sign_outs.sql")


@dataclass(frozen=True, slots=True)
class SignOuts:
    """Keeps which sessions ended, and tells the gate; other processes learn it within five seconds.

    Attributes:
        lifetime: how long a session lasts by itself; a sign-out older than that is forgotten.
    """

    pool: Pool
    ended: Ended
    lifetime: timedelta
    now: Callable[[], datetime]
    sql: Mapping[str, str] = field(default_factory=_sql)

    async def end(self, member: Member) -> None:
        """End the session that a member signs out of; here in any case, elsewhere where it could be kept."""
        now = self.now()
        self.ended.sessions[member.session] = now
        try:
            await self.pool.execute(self.sql["end_session"], member.subject, member.session, now)
        except _AWAY as error:
            log.warning("sign-out not kept", action="end_here_only", error=type(error).__name__)

    async def look(self) -> None:
        """Read which sessions ended, and forget those that are over by themselves."""
        oldest = self.now() - self.lifetime
        async with self.pool.acquire() as connection:
            rows = await connection.fetch(self.sql["ended_since"], oldest)
            await connection.execute(self.sql["forget_sign_outs"], oldest)
        here = {session: at for session, at in self.ended.sessions.items() if at > oldest}
        self.ended.sessions = here | {r["session"]: r["ended_at"] for r in rows if r["session"] is not None}
        latest = sorted((r["ended_at"], r["subject"]) for r in rows if r["session"] is None)
        self.ended.members = {subject: at for at, subject in latest}

    async def watch(self, stop: asyncio.Event) -> None:
        """Look until stopped; while PostgreSQL is away what was known holds."""
        while not stop.is_set():
            with contextlib.suppress(*_AWAY):
                await self.look()
            await pause_or_stop(_LOOK_EVERY, stop)


async def end_all(connection: Database, subject: str, now: datetime) -> None:
    """End every session of a member that began before now."""
    await connection.execute(_sql()["end_session"], subject, None, now)
