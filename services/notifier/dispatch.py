"""Sending: claim what is due, commit `calling` before the first byte leaves, settle what came of it.

planned -> claimed -> calling -> accepted | refused | in_doubt -> accepted | unknown. Only a definite refusal
goes back to planned. Nothing in doubt is ever sent again by itself (guarantee 4).
"""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import orjson
import structlog

from schemas.delivery import ChannelKind
from schemas.invitation import Outcome
from schemas.topics import INVITATION_DECIDED
from services.chassis.failures import Poison, is_transient
from services.chassis.metrics import Metrics
from services.chassis.microbatch import MicroBatcher
from services.chassis.outbox import Relay
from services.chassis.pauses import pause_or_stop, pauses
from services.chassis.persons import PersonKeys, Sealed
from services.chassis.postgres import Database, Pool, named_sql
from services.chassis.sealing import Seal
from services.notifier.channels import Channel, Fate, Result
from services.notifier.render import Invitation, Renderer

log = structlog.get_logger()
_QUIET = 0.1
_MOST_ATTEMPTS = 8
_FIRST_RETRY_SECONDS = 30.0
_SWEEP_EVERY = 5.0


@dataclass(frozen=True, slots=True)
class Limits:
    """How much at once, how long at most."""

    concurrency: int
    lease_seconds: float
    max_age_seconds: float
    in_doubt_deadline_seconds: float


@dataclass(frozen=True, slots=True)
class Settlement:
    """What came of one send, to be written."""

    invitation_id: UUID
    delivery_id: str
    fence: int
    state: str
    reason: str | None
    revision: int
    again_seconds: float
    event: bytes | None
    traceparent: str | None


@dataclass(slots=True)
class Dispatcher:
    """Hands due invitations over until stopped.

    Attributes:
        permitted: asked before every claim; what is due waits while it says no.
    """

    pool: Pool
    channel: Channel
    renderer: Renderer
    seal: Seal
    relay: Relay
    limits: Limits
    metrics: Metrics
    now: Callable[[], datetime]
    permitted: Callable[[], bool] = lambda: True
    _sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.notifier"))
    _sending: set[asyncio.Task[None]] = field(default_factory=set)
    _settler: MicroBatcher[Settlement, bool] = field(init=False)
    _persons: PersonKeys = field(init=False)

    def __post_init__(self) -> None:
        self._persons = PersonKeys(self.seal)
        self._settler = MicroBatcher(self._settle, key=lambda s: s.invitation_id)

    async def run(self, stop: asyncio.Event) -> None:
        """Claim and send until stopped, then finish what was begun."""
        waits = pauses(first=0.1, longest=5)
        while not stop.is_set():
            try:
                begun = await self._begin_some()
                waits = pauses(first=0.1, longest=5)
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("will try again", action="retry", what="dispatch", error=type(error).__name__)
                self.metrics.count("kvittera_retries_total", what="dispatch")
                await pause_or_stop(next(waits), stop)
                continue
            if self._sending and (not begun or len(self._sending) >= self.limits.concurrency):
                await asyncio.wait(self._sending, timeout=_QUIET, return_when=asyncio.FIRST_COMPLETED)
            elif not begun:
                await pause_or_stop(_QUIET, stop)
        if self._sending:
            await asyncio.wait(self._sending)
        await self._settler.drained()
        await self.channel.close()

    async def _begin_some(self) -> int:
        free = self.limits.concurrency - len(self._sending)
        if free <= 0 or not self.permitted():
            return 0
        async with self.pool.acquire() as connection:
            rows = await self._claim(connection, free)
            if not rows:
                return 0
            secrets = await self._persons.open_all(
                connection, [Sealed(r["person"], r["sealed"], str(r["invitation_id"])) for r in rows]
            )
            # Committed on its own before any byte leaves.
            begun = {
                r["invitation_id"]
                for r in await connection.fetch(
                    self._sql["begin_calls"], [r["invitation_id"] for r in rows], [r["fence"] for r in rows]
                )
            }
        for row, secret in zip(rows, secrets, strict=True):
            if row["invitation_id"] in begun:
                task = asyncio.create_task(self._send(row, secret))
                self._sending.add(task)
                task.add_done_callback(self._sending.discard)
        return len(rows)

    async def _claim(self, connection: Database, most: int) -> list[asyncpg.Record]:
        async with connection.transaction():
            rows = await connection.fetch(
                self._sql["claim"], most, self.limits.lease_seconds, self.limits.max_age_seconds
            )
            withheld = [r for r in rows if r["state"] == "withheld"]
            await self._tell(
                connection,
                [
                    (
                        r["delivery_id"],
                        self._event(r, r["revision"], Outcome.SUPPRESSED, "too_old"),
                        r["traceparent"],
                    )
                    for r in withheld
                ],
            )
        return [r for r in rows if r["state"] == "claimed"]

    async def _send(self, row: asyncpg.Record, secret: str | None) -> None:
        result = await self._hand_over(row, secret)
        self.metrics.count("kvittera_sends_total", channel=row["channel"], result=result.fate.value)
        settlement = self._settlement(row, result, row["attempts"] + 1)
        for pause in pauses():
            try:
                await self._settler.submit(settlement)
            except Exception as error:
                if not is_transient(error):
                    raise
                await asyncio.sleep(pause)
            else:
                break
        if result.fate is Fate.ACCEPTED:
            waited = (self.now() - row["occurred_at"]).total_seconds()
            self.metrics.observe("kvittera_event_to_ask_seconds", max(0.0, waited))

    async def _hand_over(self, row: asyncpg.Record, secret: str | None) -> Result:
        try:
            message = self.renderer.render(self._invitation(row, secret))
        except Exception as error:
            # No byte has left and none ever will: that is definite.
            log.exception("message cannot be made", action="refuse", invitation_id=str(row["invitation_id"]))
            return Result(Fate.REFUSED, error.reason if isinstance(error, Poison) else "unrenderable")
        try:
            return await self.channel.send(message)
        except Exception as error:
            log.exception("channel failed", action="in_doubt", invitation_id=str(row["invitation_id"]))
            return Result(Fate.IN_DOUBT, type(error).__name__)

    def _invitation(self, row: asyncpg.Record, opened: str | None) -> Invitation:
        if opened is None:
            raise Poison("unsealable", "the person was erased, or another key sealed it")
        secret = json.loads(opened)
        delivery: dict[str, Any] = json.loads(row["message"])["delivery"]
        return Invitation(
            reference=str(row["invitation_id"]),
            fence=row["fence"],
            kind=ChannelKind(row["channel"]),
            address=secret["address"],
            token=secret["token"],
            language=row["language"],
            merchant_name=delivery.get("merchant_name"),
            occurred_at=row["occurred_at"],
            zone=delivery["zone"],
        )

    def _settlement(self, row: asyncpg.Record, result: Result, attempts: int) -> Settlement:
        """What a result of the `attempts`-th attempt makes of an invitation."""
        match result.fate:
            case Fate.ACCEPTED:
                return self._settled(row, "accepted", Outcome.ASKED, result.reason)
            case Fate.IN_DOUBT:
                return self._settled(row, "in_doubt", Outcome.IN_DOUBT, result.reason)
            case Fate.REFUSED_FOR_NOW if attempts < _MOST_ATTEMPTS:
                wait = max(result.again_after, _FIRST_RETRY_SECONDS) * 2 ** (attempts - 1) if result.again_after else 0
                return self._settled(row, "planned", Outcome.SCHEDULED, result.reason, wait)
            case _:
                return self._settled(row, "refused", Outcome.FAILED, result.reason)

    def _settled(
        self, row: asyncpg.Record, state: str, outcome: Outcome, reason: str | None, again_seconds: float = 0.0
    ) -> Settlement:
        # Who was told "scheduled" need not be told again.
        silent = outcome is Outcome.SCHEDULED and row["state"] != "in_doubt"
        revision = row["revision"] + (not silent)
        return Settlement(
            invitation_id=row["invitation_id"],
            delivery_id=row["delivery_id"],
            fence=row["fence"],
            state=state,
            reason=reason,
            revision=revision,
            again_seconds=again_seconds,
            event=None if silent else self._event(row, revision, outcome, reason),
            traceparent=row["traceparent"],
        )

    def _event(self, row: asyncpg.Record, revision: int, outcome: Outcome, reason: str | None) -> bytes:
        message = json.loads(row["message"])
        message |= {"revision": revision, "outcome": outcome.value, "decided_at": self.now().isoformat()}
        if reason is not None:
            message["reason"] = reason
        return orjson.dumps(message)

    async def _settle(self, settlements: Sequence[Settlement]) -> Sequence[bool]:
        async with self.pool.acquire() as connection, connection.transaction():
            rows = await connection.fetch(
                self._sql["settle"],
                [s.invitation_id for s in settlements],
                [s.fence for s in settlements],
                [s.state for s in settlements],
                [s.reason for s in settlements],
                [s.revision for s in settlements],
                [s.again_seconds for s in settlements],
            )
            moved = {r["invitation_id"] for r in rows}
            await self._tell(
                connection,
                [(s.delivery_id, s.event, s.traceparent) for s in settlements if s.event and s.invitation_id in moved],
            )
        self.relay.wake()
        return [s.invitation_id in moved for s in settlements]

    async def _tell(self, connection: Database, events: Sequence[tuple[str, bytes, str | None]]) -> None:
        if events:
            await connection.execute(
                self._sql["tell"],
                INVITATION_DECIDED,
                [k for k, _, _ in events],
                [v for _, v, _ in events],
                [t for _, _, t in events],
            )

    async def sweep(self, stop: asyncio.Event) -> None:
        """Give back claims of dead processes, doubt their calls, and resolve doubts where that is possible."""
        while not await pause_or_stop(min(_SWEEP_EVERY, self.limits.lease_seconds / 2), stop):
            try:
                await self._sweep_once()
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("will try again", action="retry", what="sweep", error=type(error).__name__)

    async def _sweep_once(self) -> None:
        async with self.pool.acquire() as connection:
            await connection.execute(self._sql["release_expired_claims"])
            async with connection.transaction():
                doubted = await connection.fetch(self._sql["doubt_expired_calls"])
                await self._tell(
                    connection,
                    [
                        (
                            r["delivery_id"],
                            self._event(r, r["revision"], Outcome.IN_DOUBT, "interrupted"),
                            r["traceparent"],
                        )
                        for r in doubted
                    ],
                )
            waiting = await connection.fetch(self._sql["in_doubt"], self.limits.in_doubt_deadline_seconds)
        for row in waiting:
            await self._resolve(row)

    async def _resolve(self, row: asyncpg.Record) -> None:
        found = await self.channel.look_up(row["reference"])
        if found is not None and found.fate is not Fate.IN_DOUBT:
            await self._settler.submit(self._settlement(row, found, row["attempts"]))
        elif row["past_deadline"]:
            await self._settler.submit(self._settled(row, "unknown", Outcome.FAILED, "fate_unknown"))


async def measure_ledger(pool: Pool, metrics: Metrics, stop: asyncio.Event, every: float = 5.0) -> None:
    """Keep the ledger identity visible: delivered = asked + suppressed + pending + failed (E4)."""
    sql = named_sql("services.notifier")
    while not await pause_or_stop(every, stop):
        try:
            async with pool.acquire() as connection:
                row = await connection.fetchrow(sql["ledger"])
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            continue
        assert row is not None
        for state in ("delivered", "asked", "suppressed", "pending", "failed"):
            metrics.set("kvittera_ledger", row[state], state=state)
        gap = row["delivered"] - row["asked"] - row["suppressed"] - row["pending"] - row["failed"]
        metrics.set("kvittera_ledger_gap", gap)
        metrics.set("kvittera_in_doubt", row["in_doubt"])


def utc_now() -> datetime:
    """The moment, in UTC."""
    return datetime.now(UTC)
