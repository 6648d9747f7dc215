"""Sending: claim what is due, commit `calling` before the first byte leaves, call, settle what came of it.

planned -> calling -> accepted | refused | in_doubt -> accepted | unknown. Only a definite refusal goes back to
planned. Nothing in doubt is ever sent again by itself (guarantee 4). A claim stands in `claiming.py`, one call in
`hand_over.py`, what comes of it in `settlement.py`, and what dead processes leave in `sweep.py`.
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import SystemRandom

import asyncpg
import structlog

from services.chassis.attempts import until_done
from services.chassis.failures import is_transient
from services.chassis.message_lines import SENT, MessageLines
from services.chassis.metrics import Metrics
from services.chassis.microbatch import MicroBatcher
from services.chassis.outbox import Relay
from services.chassis.pauses import pause_or_stop, pauses
from services.chassis.persons import PersonKeys
from services.chassis.postgres import Pool
from services.chassis.sealing import Seal
from services.chassis.traces import Traces
from services.notifier.breaker import ProviderBreaker
from services.notifier.channels import Channel, Fate, Result
from services.notifier.claim import PERMIT_SECONDS, Claims, Departs, at_once
from services.notifier.claiming import Claimed, Claiming
from services.notifier.hand_over import HandOver
from services.notifier.lease import lease_seconds
from services.notifier.policy import Policies
from services.notifier.render import Renderer
from services.notifier.settlement import Settlement, Settling, Share, tell_unsettled
from services.notifier.sweep import Sweep
from services.notifier.warming import warm_up

log = structlog.get_logger()
_QUIET = 0.1
_GATHER = 0.05
"""What falls due meanwhile is claimed together: a claim costs about what twenty of its rows do."""
_APART = 0.01
"""More may be due already; calls that come back meanwhile share the next claim."""
_LINGER = 0.02
"""What comes back meanwhile is settled together."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much at once, how long at most.

    Attributes:
        lease_seconds: of a send; longer where the channel's time-outs need it.
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
        claiming_pool: where claims are made and plans are kept for a second; None: in `pool`.
        permitted: asked before every claim; what is due waits while it says no.
        policies: as they hold now; the claim reads budgets and the reminder's delay from them.
        departs: when a message may leave; what may not leave now is held.
        lines: where each call has its own.
        only_to: the persons that may be reached, as on a staging system; None: everybody.
        share: a number between two, evenly drawn.
        clock: seconds, never going back.
        sweep: looks after what was interrupted.
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
    claiming_pool: "Pool | None" = None
    lines: MessageLines = field(default_factory=lambda: MessageLines(0))
    traces: Traces = field(default_factory=lambda: Traces("untold"))
    _sending: set[asyncio.Task[None]] = field(default_factory=set)
    _calls: Counter[str] = field(default_factory=Counter)
    _room: asyncio.Event = field(default_factory=asyncio.Event)
    sweep: Sweep = field(init=False)
    _settling: Settling = field(init=False)
    _settler: MicroBatcher[Settlement, bool] = field(init=False)
    _claiming: Claiming = field(init=False)
    _breaker: ProviderBreaker = field(init=False)
    _hand_over: HandOver = field(init=False)

    def __post_init__(self) -> None:
        for kind in self.channel.kinds:
            self.metrics.begin("kvittera_unsettled_total", channel=kind)
        limits = self.limits
        lease = lease_seconds(limits.lease_seconds, self.channel)
        persons = PersonKeys(self.seal)
        claims = Claims(
            lease,
            limits.max_age_seconds,
            limits.cap_per_minute,
            self.policies,
            self.departs,
            self.only_to,
        )
        claiming_pool, keeps_plans = self.claiming_pool or self.pool, self.claiming_pool is not None
        self._claiming = Claiming(
            claiming_pool, claims, persons, self.metrics, self.now, keeps_plans=keeps_plans, lines=self.lines
        )
        self._settling = Settling(
            self.pool,
            persons,
            self.relay,
            self.now,
            lambda: self.policies().hours.reminder_days,
            self.departs,
            self.share,
        )
        self._settler = MicroBatcher(self._settling.write, key=lambda s: s.invitation_id, linger=_LINGER)
        self._breaker = ProviderBreaker(self.clock, self.share)
        longest_wait = lease if limits.cap_per_minute is None else PERMIT_SECONDS
        self._hand_over = HandOver(self.channel, self.renderer, self._breaker, self.metrics, longest_wait, self.traces)
        self.sweep = Sweep(
            self.pool,
            self.channel,
            self._settling,
            self._settler,
            self.metrics,
            lease,
            limits.in_doubt_deadline_seconds,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Claim and send until stopped, then finish what was begun."""
        waits = pauses(first=0.1, longest=5)
        await warm_up(self._claiming.pool, self._claiming.claims, self.renderer)
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
            await pause_or_stop(_QUIET if not begun else _GATHER if self._has_room() else _APART, stop)
        if self._sending:
            await asyncio.wait(self._sending)
        await self._settler.drained()
        await self.channel.close()

    def _has_room(self) -> bool:
        """Whether a claim is worth its statements: for a quarter of all calls."""
        return self._free() >= max(1, self.limits.concurrency // 4)

    def _free(self) -> int:
        return self.limits.concurrency - self._calls.total()

    async def _for_room(self) -> None:
        self._room.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_QUIET):
                await self._room.wait()

    async def _begin_some(self) -> int:
        free = self._free()
        if free <= 0 or not self.permitted():
            return 0
        return await self._claiming.begin(free, self._allowed(), self.clock(), self._begin)

    def _begin(self, claimed: Claimed) -> None:
        task = asyncio.create_task(self._send(claimed))
        self._calls[claimed.row["channel"]] += 1
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    def _allowed(self) -> dict[str, int]:
        # One call goes to see, and only when all others of its kind are back.
        return {kind: 0 if self._calls[kind] else most for kind, most in self._breaker.allowed().items()}

    async def _send(self, claimed: Claimed) -> None:
        row, began = claimed.row, self.clock()
        try:
            result = await self._hand_over(row, claimed.secret, began - claimed.at)
        finally:
            self._calls[row["channel"]] -= 1  # what is still to be settled holds up no other call
            if self._has_room():
                self._room.set()
        self.metrics.count("kvittera_sends_total", channel=row["channel"], result=result.fate.value)
        self._tell(row, result, self.clock() - began)
        try:
            await self._settle(row, result)
        except Exception as error:  # noqa: BLE001  told, by its name
            # Nobody waits for this task: unsaid here, it is said nowhere. The row stays `calling` until its lease ends.
            tell_unsettled(self.metrics, row, error)
            return
        if result.fate is Fate.ACCEPTED and row["kind"] == "ask":
            waited = (self.now() - row["occurred_at"]).total_seconds()
            self.metrics.observe("kvittera_event_to_ask_seconds", max(0.0, waited))

    async def _settle(self, row: asyncpg.Record, result: Result) -> None:
        settlement = self._settling.of(row, result, row["attempts"])

        async def write() -> None:
            if not await self._settler.submit(settlement):
                told = {"invitation_id": str(row["invitation_id"]), "result": result.fate.value}
                log.warning("a call ended after its lease", action="keep_in_doubt", **told)

        await until_done(write)  # however long the database is away

    def _tell(self, row: asyncpg.Record, result: Result, seconds: float) -> None:
        for sent in self.lines.chosen(SENT, [row], 1, lambda row: self.traces.keeps(row["traceparent"])):
            told = {name: sent[name] for name in ("delivery_id", "kind", "channel")}
            outcome = {"result": result.fate.value, "reason": result.reason, "attempt": sent["attempts"]}
            self.lines.tell(SENT, sent["traceparent"], seconds, **told, **outcome)


def utc_now() -> datetime:
    """The moment, in UTC."""
    return datetime.now(UTC)
