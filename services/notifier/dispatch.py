"""Sending: claim what is due, commit `calling` before the first byte leaves, settle what came of it.

planned -> calling -> accepted | refused | in_doubt -> accepted | unknown. Only a definite refusal goes back to
planned. Nothing in doubt is ever sent again by itself (guarantee 4).
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import SystemRandom
from typing import Any

import asyncpg
import orjson
import structlog

from schemas.delivery import ChannelKind
from schemas.invitation import Outcome
from services.chassis.failures import Poison, is_transient
from services.chassis.metrics import Metrics
from services.chassis.microbatch import MicroBatcher
from services.chassis.outbox import Relay
from services.chassis.pauses import pause_or_stop, pauses
from services.chassis.persons import PersonKeys, Sealed
from services.chassis.postgres import Database, Pool, named_sql
from services.chassis.sealing import Seal
from services.notifier.breaker import ProviderBreaker
from services.notifier.channels import Channel, Fate, Result
from services.notifier.channels.reports import Progress
from services.notifier.claim import PERMIT_SECONDS, Claims, Departs, at_once
from services.notifier.phrasing import occasion_of
from services.notifier.policy import Policies
from services.notifier.render import Invitation, Renderer
from services.notifier.settlement import Settlement, Settling, Share

log = structlog.get_logger()
_QUIET = 0.1
_GATHER = 0.05
"""What falls due meanwhile is claimed together: a claim costs about what twenty of its rows do."""
_LINGER = 0.02
"""What comes back meanwhile is settled together."""
_SWEEP_EVERY = 5.0


@dataclass(frozen=True, slots=True)
class Limits:
    """How much at once, how long at most.

    Attributes:
        cap_per_minute: most calls in any minute for a kind of channel, over all processes; None: no cap.
    """

    concurrency: int
    lease_seconds: float
    max_age_seconds: float
    in_doubt_deadline_seconds: float
    cap_per_minute: int | None = None


@dataclass(slots=True)
class Dispatcher:
    """Hands due invitations over until stopped.

    Attributes:
        permitted: asked before every claim; what is due waits while it says no.
        policies: as they hold now; the claim reads budgets and the reminder's delay from them.
        departs: when a message may leave; what may not leave now is held.
        only_to: the persons that may be reached, as on a staging system; None: everybody.
        share: a number between two, evenly drawn.
        clock: seconds, never going back.
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
    policies: Callable[[], Policies] = Policies
    departs: Departs = at_once
    only_to: frozenset[bytes] | None = None
    share: Share = field(default_factory=lambda: SystemRandom().uniform)
    clock: Callable[[], float] = time.monotonic
    _sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.notifier"))
    _sending: set[asyncio.Task[None]] = field(default_factory=set)
    _calls: int = 0
    _room: asyncio.Event = field(default_factory=asyncio.Event)
    _settling: Settling = field(init=False)
    _settler: MicroBatcher[Settlement, bool] = field(init=False)
    _claims: Claims = field(init=False)
    _breaker: ProviderBreaker = field(init=False)
    _persons: PersonKeys = field(init=False)

    def __post_init__(self) -> None:
        limits = self.limits
        self._persons = PersonKeys(self.seal)
        self._claims = Claims(
            limits.lease_seconds,
            limits.max_age_seconds,
            limits.cap_per_minute,
            self.policies,
            self.departs,
            self.only_to,
        )
        self._settling = Settling(
            self.pool,
            self._persons,
            self.relay,
            self.now,
            lambda: self.policies().hours.reminder_days,
            self.departs,
            self.share,
        )
        self._settler = MicroBatcher(self._settling.write, key=lambda s: s.invitation_id, linger=_LINGER)
        self._breaker = ProviderBreaker(self.clock, self.share)

    async def run(self, stop: asyncio.Event) -> None:
        """Claim and send until stopped, then finish what was begun."""
        waits = pauses(first=0.1, longest=5)
        while not stop.is_set():
            if not self._has_room():
                await self._for_room()
                continue
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
            if not begun or self._has_room():  # otherwise more may be due already
                await pause_or_stop(_GATHER if begun else _QUIET, stop)
        if self._sending:
            await asyncio.wait(self._sending)
        await self._settler.drained()
        await self.channel.close()

    def _has_room(self) -> bool:
        """Whether a claim is worth its statements: for a quarter of all calls, or when all are back."""
        free = self.limits.concurrency - self._calls
        return not self._calls or free >= max(1, self.limits.concurrency // 4)

    async def _for_room(self) -> None:
        self._room.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_QUIET):
                await self._room.wait()

    async def _begin_some(self) -> int:
        free = self.limits.concurrency - self._calls
        if free <= 0 or not self.permitted():
            return 0
        claimed_at = self.clock()
        async with self.pool.acquire() as connection:
            begun = await self._claim(connection, free)
        for row, secret in begun:
            task = asyncio.create_task(self._send(row, secret, claimed_at))
            self._calls += 1
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
        return len(begun)

    async def _claim(self, connection: Database, most: int) -> list[tuple[asyncpg.Record, str | None]]:
        """What is to be called, with its secret; committed as `calling`, before any byte leaves."""
        allowed = self._breaker.allowed()
        if self._sending:
            allowed = dict.fromkeys(allowed, 0)  # one call goes to see, and only when all others are back
        async with connection.transaction():
            rows = await self._claims.take(connection, most, allowed)
            withheld = [r for r in rows if r["state"] == "withheld"]
            await self._settling.tell(
                connection,
                [
                    (
                        r["delivery_id"],
                        self._settling.event(r, r["revision"], Outcome.SUPPRESSED, r["reason"]),
                        r["traceparent"],
                    )
                    for r in withheld
                    if r["kind"] == "ask"
                ],
            )
            calling = [r for r in rows if r["state"] == "calling"]
            secrets = self._persons.open_with(
                {r["person"]: r["wrapped"] for r in calling},
                [Sealed(r["person"], r["sealed"], str(r["invitation_id"])) for r in calling],
            )
        for row in withheld:
            self.metrics.count("kvittera_withheld_total", reason=row["reason"])
        return list(zip(calling, secrets, strict=True))

    async def _send(self, row: asyncpg.Record, secret: str | None, claimed_at: float) -> None:
        try:
            result = await self._hand_over(row, secret, claimed_at)
        finally:
            self._calls -= 1  # what is still to be settled holds up no other call
            if self._has_room():
                self._room.set()
        self.metrics.count("kvittera_sends_total", channel=row["channel"], result=result.fate.value)
        settlement = self._settling.of(row, result, row["attempts"])
        for pause in pauses():
            try:
                await self._settler.submit(settlement)
            except Exception as error:
                if not is_transient(error):
                    raise
                await asyncio.sleep(pause)
            else:
                break
        if result.fate is Fate.ACCEPTED and row["kind"] == "ask":
            waited = (self.now() - row["occurred_at"]).total_seconds()
            self.metrics.observe("kvittera_event_to_ask_seconds", max(0.0, waited))

    async def _hand_over(self, row: asyncpg.Record, secret: str | None, claimed_at: float) -> Result:
        try:
            message = self.renderer.render(self._invitation(row, secret))
        except Exception as error:
            # No byte has left and none ever will: that is definite.
            log.exception("message cannot be made", action="refuse", invitation_id=str(row["invitation_id"]))
            return Result(Fate.REFUSED, error.reason if isinstance(error, Poison) else "unrenderable")
        # A process that was paused since its claim holds a permit of another minute, or a lease of another's.
        longest = self.limits.lease_seconds if self.limits.cap_per_minute is None else PERMIT_SECONDS
        if self.clock() - claimed_at > longest:
            return Result(Fate.REFUSED_FOR_NOW, "permit_expired")
        try:
            result = await self.channel.send(message)
        except Exception as error:
            log.exception("channel failed", action="in_doubt", invitation_id=str(row["invitation_id"]))
            result = Result(Fate.IN_DOUBT, type(error).__name__)
        self._breaker.note(row["channel"], result.fate)
        self.metrics.set(
            "kvittera_provider_breaker", int(self._breaker.is_open(row["channel"])), channel=row["channel"]
        )
        return result

    def _invitation(self, row: asyncpg.Record, opened: str | None) -> Invitation:
        if opened is None:
            raise Poison("unsealable", "the person was erased, or another key sealed it")
        secret = orjson.loads(opened)
        delivery: dict[str, Any] = orjson.loads(row["message"])["delivery"]
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
            occasion=occasion_of(delivery.get("touchpoint", ""), delivery.get("exceptions", ())),
            co_brand=secret.get("co_brand"),
            notice=secret.get("notice"),
            reminder=row["kind"] == "reminder",
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
                await self._settling.tell(
                    connection,
                    [
                        (
                            r["delivery_id"],
                            self._settling.event(r, r["revision"], Outcome.IN_DOUBT, "interrupted"),
                            r["traceparent"],
                        )
                        for r in doubted
                        if r["kind"] == "ask"
                    ],
                )
            waiting = await connection.fetch(self._sql["in_doubt"], self.limits.in_doubt_deadline_seconds)
        for row in waiting:
            await self._resolve(row)

    async def _resolve(self, row: asyncpg.Record) -> None:
        found = reported(row["progress"]) or await self.channel.look_up(row["reference"])
        if found is not None and found.fate is not Fate.IN_DOUBT:
            await self._settler.submit(self._settling.of(row, found, row["attempts"]))
        elif row["past_deadline"]:
            await self._settler.submit(self._settling.settled(row, "unknown", Outcome.FAILED, "fate_unknown"))


def reported(progress: str | None) -> Result | None:
    """What a provider's receipts say about a hand-over in doubt; None where none came."""
    if progress is None:
        return None
    if progress == Progress.UNDELIVERED:
        return Result(Fate.REFUSED, "undelivered")
    return Result(Fate.ACCEPTED, "reported")


def utc_now() -> datetime:
    """The moment, in UTC."""
    return datetime.now(UTC)
