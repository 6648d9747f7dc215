"""Which sessions of staff are over: each service keeps what it hears of, and its processes look it up."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from schemas.staff import SessionEnded
from schemas.topics import SESSION_ENDED
from services.chassis.attempts import tried_again_later
from services.chassis.kafka import NO_HURRY_MS
from services.chassis.lifecycle import Task
from services.chassis.pauses import pause_or_stop
from services.chassis.postgres import Database, Pool, named_sql
from services.chassis.records import Received
from services.chassis.staff.gate import CookieGate
from services.chassis.staff.members import Gate
from services.chassis.subscriptions import Subscriptions

_LOOK_EVERY = 5.0
_BATCH = 500


@dataclass(frozen=True, slots=True)
class SignOuts:
    """Tells the gate which sessions are over; all processes of a service learn it within five seconds."""

    pool: Pool
    gate: CookieGate
    sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.chassis", "sign_outs.sql"))

    async def look(self) -> None:
        """Read which sessions ended, and forget those that are over by themselves."""
        ended, oldest = self.gate.ended, self.gate.now() - self.gate.sessions.lifetime
        async with self.pool.acquire() as connection:
            rows = await connection.fetch(self.sql["ended_since"], oldest)
            await connection.execute(self.sql["forget_sign_outs"], oldest)
        here = {session: at for session, at in ended.sessions.items() if at > oldest}
        ended.sessions = here | {r["session"]: r["ended_at"] for r in rows if r["session"] is not None}
        latest = sorted((r["ended_at"], r["subject"]) for r in rows if r["session"] is None)
        ended.members = {member: at for at, member in latest}

    async def watch(self, stop: asyncio.Event) -> None:
        """Look until stopped; while PostgreSQL is away what was known holds. Raises what does not pass by itself."""
        while not stop.is_set():
            with tried_again_later("ended sessions"):
                await self.look()
            await pause_or_stop(_LOOK_EVERY, stop)


@dataclass(frozen=True, slots=True)
class KeepSignOuts:
    """Keeps what the survey tells of, inside the fence's transaction."""

    sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.chassis", "sign_outs.sql"))

    async def __call__(self, connection: Database, told: Sequence[Received[SessionEnded]]) -> None:
        """Keep them; what is from long ago is forgotten at the next look."""
        ended = [received.message for received in told]
        await connection.execute(
            self.sql["keep_sign_outs"],
            [e.member for e in ended],
            [e.session for e in ended],
            [e.ended_at for e in ended],
        )


def heard_sign_outs(subscriptions: Subscriptions, gate: Gate) -> dict[str, Task]:
    """The tasks of a service whose pages are for staff too; none where nobody signs in, or anybody may."""
    if not isinstance(gate, CookieGate) or subscriptions.settings.staff_sign_in == "demo":
        return {}
    # Costs a sixth of a service's start; most need it for nothing else.
    from services.chassis.faststream_feed import carry

    group = f"kvittera-{subscriptions.service}-sign-outs"
    reader = subscriptions.reader(SESSION_ENDED, group, SessionEnded, KeepSignOuts())
    return {
        "sign-outs": carry(reader, subscriptions.settings, max_records=_BATCH, fetch_wait_ms=NO_HURRY_MS),
        "watch sign-outs": reader.watch,
        "ended sessions": SignOuts(subscriptions.pool, gate).watch,
    }
