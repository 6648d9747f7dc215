"""What tests of sending share: a channel that follows a script, a dispatcher, planned requests, and their books."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from schemas.delivery import ChannelKind
from schemas.invitation import InvitationDecided
from services.chassis.message_lines import MessageLines
from services.chassis.metrics import Metrics
from services.chassis.outbox import Relay
from services.chassis.postgres import Pool, database_time, named_sql
from services.chassis.sealing import Seal
from services.chassis.settings import Settings
from services.chassis.traces import Traces
from services.notifier.channels import Channel, Fate, Message, Result
from services.notifier.dispatch import Dispatcher, Limits
from services.notifier.handlers import DecideDeliveries
from services.notifier.ledger import read_ledger
from services.notifier.policy import Policies, Rules
from services.notifier.render import Renderer, Sender
from tests.builders import arrived, delivery
from tests.conftest import SEALING_KEY

ACCEPTED = Result(Fate.ACCEPTED)
REFUSED = Result(Fate.REFUSED, "smtp_550")
REFUSED_FOR_NOW = Result(Fate.REFUSED_FOR_NOW, "smtp_451")
IN_DOUBT = Result(Fate.IN_DOUBT, "smtp_timeout")
LIMITS = Limits(concurrency=8, lease_seconds=60, max_age_seconds=72 * 3600, in_doubt_deadline_seconds=3600)
HASTY = Limits(concurrency=8, lease_seconds=0.2, max_age_seconds=72 * 3600, in_doubt_deadline_seconds=3600)
CAPPED = Limits(
    concurrency=50, lease_seconds=60, max_age_seconds=72 * 3600, in_doubt_deadline_seconds=3600, cap_per_minute=60
)
REMINDING = Policies.model_validate({"hours": {"reminder_days": 3}})


@dataclass
class ScriptedChannel:
    """Gives the results of its script in turn, the last one for ever; knows of no look-up unless told."""

    script: Sequence[Result] = (ACCEPTED,)
    known: Callable[[str], Result | None] = lambda _: None
    before_answer: Callable[[Message], Awaitable[None]] | None = None
    kinds: frozenset[ChannelKind] = frozenset(ChannelKind)
    calls: list[Message] = field(default_factory=list)

    async def send(self, message: Message) -> Result:
        self.calls.append(message)
        if self.before_answer is not None:
            await self.before_answer(message)
        return self.script[min(len(self.calls), len(self.script)) - 1]

    async def look_up(self, reference: str) -> Result | None:
        return self.known(reference)

    async def close(self) -> None:
        """Nothing is held."""


def now() -> datetime:
    return datetime.now(UTC)


def lowest(low: float, _: float) -> float:
    return low


def dispatcher(
    pool: Pool,
    settings: Settings,
    channel: Channel,
    limits: Limits = LIMITS,
    share: Callable[[float, float], float] = lowest,
    policies: Policies | None = None,
    only_to: frozenset[bytes] | None = None,
    lines: MessageLines | None = None,
    traces: Traces | None = None,
) -> Dispatcher:
    metrics = Metrics()
    return Dispatcher(
        pool=pool,
        channel=channel,
        renderer=Renderer(Sender("Nordposten Demo", "08-465 004 10", "hjalp@nordposten.example", "http://127.0.0.1")),
        seal=Seal(bytes.fromhex(SEALING_KEY)),
        relay=Relay(settings, "notifier", metrics),
        limits=limits,
        metrics=metrics,
        now=now,
        share=share,
        policies=lambda: policies or Policies(),
        only_to=only_to,
        lines=lines or MessageLines(0),
        traces=traces or Traces("notifier"),
    )


def deciding(policies: Policies | None = None) -> DecideDeliveries:
    """What decides about deliveries, by the database's clock."""
    return DecideDeliveries.with_queries(
        rules=Rules(timedelta(hours=72), timedelta(0), frozenset(ChannelKind), policies or Policies()),
        seal=Seal(bytes.fromhex(SEALING_KEY)),
        brand="Nordposten Demo",
        link_lifetime=timedelta(days=14),
        metrics=Metrics(),
        now=database_time,
    )


async def plan(
    pool: Pool, count: int = 1, *, suppressed: int = 0, policies: Policies | None = None, **facts: Any
) -> None:
    """Decide about so many new deliveries, of which some are not asked about."""
    deliveries = [
        delivery(delivery_id=f"D-{n}", occurred_at=now(), exceptions=["damaged"] if n >= count else [], **facts)
        for n in range(count + suppressed)
    ]
    async with pool.acquire() as connection, connection.transaction():
        await deciding(policies)(connection, [arrived(d, now()) for d in deliveries])
    await relay_everything(pool)


async def work(d: Dispatcher) -> int:
    """Begin what is due and wait until it is settled; returns how many were claimed."""
    await relay_everything(d.pool)
    begun = await d._begin_some()
    if d._sending:
        await asyncio.wait(d._sending)
    return begun


async def relay_everything(pool: Pool) -> None:
    """What the relay does, as far as the dispatcher can see."""
    await pool.execute("DELETE FROM outbox_waiting")


async def state_of(pool: Pool, delivery_id: str = "D-0") -> tuple[str, str | None, int]:
    row = await pool.fetchrow("SELECT state, reason, attempts FROM invitation WHERE delivery_id = $1", delivery_id)
    assert row is not None
    return row["state"], row["reason"], row["attempts"]


async def told(pool: Pool, delivery_id: str = "D-0") -> list[tuple[int, str, str | None]]:
    """Revision, outcome and reason of all decisions told about a delivery, checked against the contract."""
    rows = await pool.fetch(
        "SELECT value FROM outbox WHERE key = $1 AND topic = 'invitation.decided.v1' ORDER BY id", delivery_id.encode()
    )
    messages = [InvitationDecided.model_validate_json(r["value"]) for r in rows]
    return [(m.revision, m.outcome.value, m.reason) for m in messages]


_SAME_OPEN_SENDS = """
SELECT NOT EXISTS (
    (SELECT invitation_id, channel, state, at FROM open_send)
    EXCEPT
    (SELECT invitation_id, channel, state, CASE state WHEN 'planned' THEN due_at WHEN 'in_doubt' THEN called_at
                                           ELSE coalesce(lease_until, 'infinity') END FROM invitation)
) AND (SELECT count(*) FROM open_send)
    = (SELECT count(*) FROM invitation WHERE state IN ('planned', 'claimed', 'calling', 'in_doubt'))
"""


async def ledger(pool: Pool) -> dict[str, int]:
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read"):
        row = await connection.fetchrow(named_sql("services.notifier")["ledger"])
        as_told = await read_ledger(connection)
        in_both = await connection.fetchval(_SAME_OPEN_SENDS)
    assert row is not None
    assert in_both, "open_send is not what the requests say"
    counted = dict(row)
    assert counted["delivered"] == (counted["asked"] + counted["suppressed"] + counted["pending"] + counted["failed"])
    assert {side: getattr(as_told, side) for side in counted} == counted
    return counted
