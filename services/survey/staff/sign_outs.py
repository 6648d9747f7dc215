"""Ends sessions of staff: for every process of the survey, and by a topic for the pages of the other services."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from schemas.staff import SessionEnded
from services.chassis.failures import is_transient
from services.chassis.pauses import pause_or_stop
from services.chassis.postgres import Database, Pool, named_sql
from services.chassis.staff import Member
from services.chassis.staff.gate import CookieGate

log = structlog.get_logger()
_TRY_AGAIN_EVERY = 5.0
_LAST_TRY_SECONDS = 3.0
"""Well within the time that a process has to end, KVITTERA_DRAIN_SECONDS."""


@dataclass(frozen=True, slots=True)
class SigningOut:
    """Makes a session void that a member signs out of."""

    pool: Pool
    gate: CookieGate
    sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.survey", "sign_outs.sql"))
    _unkept: dict[str, SessionEnded] = field(default_factory=dict)

    async def end(self, member: Member) -> bool:
        """End it in this process. Returns whether every other one will hear of it; if not yet, it is tried again."""
        now = self.gate.now()
        self.gate.ended.sessions[member.session] = now
        told = SessionEnded(member=self.gate.sessions.alias(member.subject), session=member.session, ended_at=now)
        self._unkept[member.session] = told
        await self.keep_what_waits()
        return member.session not in self._unkept

    async def keep_what_waits(self) -> None:
        """Keep the sign-outs that are not kept yet, as long as that works."""
        try:
            async with self.pool.acquire() as connection:
                for session, told in list(self._unkept.items()):
                    await keep(connection, told, self.sql)
                    self._unkept.pop(session, None)
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("sign-out not kept", action="retry", waiting=len(self._unkept), error=type(error).__name__)

    async def watch(self, stop: asyncio.Event) -> None:
        """Until stopped, keep those that PostgreSQL was away for; then try once more and tell of the lost ones."""
        while not await pause_or_stop(_TRY_AGAIN_EVERY, stop):
            if self._unkept:
                await self.keep_what_waits()
        if self._unkept:
            await self._try_for_the_last_time()

    async def _try_for_the_last_time(self) -> None:
        """What is not kept now goes with this process: the log names the members for `kvittera signout --alias`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_TRY_SECONDS):
                await self.keep_what_waits()
        if self._unkept:
            members = sorted({told.member for told in self._unkept.values()})
            log.error(
                "sign-outs are lost with this process: end the members' sessions", action="abandon", aliases=members
            )


async def end_all(connection: Database, alias: str, now: datetime) -> None:
    """End every session of a member, by the alias (`Sessions.alias`), that began before now."""
    await keep(connection, SessionEnded(member=alias, ended_at=now), named_sql("services.survey", "sign_outs.sql"))


async def keep(connection: Database, ended: SessionEnded, sql: Mapping[str, str]) -> None:
    """Keep it and tell of it, in one commit."""
    event = ended.model_dump_json(exclude_none=True).encode()
    await connection.execute(sql["end_session"], ended.member, ended.session, ended.ended_at, event)
