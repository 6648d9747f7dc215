"""What came of a hand-over, written down: state, event, and the one reminder (guarantee 4)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from random import SystemRandom
from typing import NamedTuple
from uuid import UUID

import asyncpg
import orjson
import structlog

from schemas.invitation import Outcome
from services.chassis.ids import time_ordered
from services.chassis.metrics import Metrics
from services.chassis.outbox import Relay
from services.chassis.persons import PersonKeys, Sealed
from services.chassis.postgres import Database, Pool, named_sql
from services.notifier.channels import Fate, Result
from services.notifier.claim import Departs, at_once
from services.notifier.schedule import days_later
from services.notifier.telling import Event, changed, is_replied_to, tell, tell_reminded

log = structlog.get_logger()
MOST_ATTEMPTS = 8
_LONGEST_PAUSE = 3600.0
Share = Callable[[float, float], float]
"""A number between two, evenly drawn."""


class Settlement(NamedTuple):
    """What came of one send, to be written; `reminds` where a reply by text message is about it from now on."""

    invitation_id: UUID
    fence: int
    state: str
    reason: str | None
    revision: int
    again_seconds: float
    event: Event | None
    reminds: bool = False


def pause_before_retry(attempts: int, again_after: float, share: Share) -> float:
    """Seconds until the next attempt: what the provider asked for, and full jitter that doubles (D17, H59).

    The first retry comes at once, so that a moment's weakness costs nobody anything.
    """
    ceiling = 1.0 if attempts <= 1 else min(_LONGEST_PAUSE, 30.0 * 2 ** (attempts - 2))
    return max(0.0, again_after) + share(0.0, ceiling)


def tell_unsettled(metrics: Metrics, row: asyncpg.Record, error: Exception) -> None:
    """Say that a call's end cannot be written, ever: it is in doubt once its lease has ended, or stays so."""
    # The error's own words may hold the row: its name only.
    log.error(
        "what came of a call cannot be written",
        action="in_doubt",
        invitation_id=str(row["invitation_id"]),
        error=type(error).__name__,
    )
    metrics.count("kvittera_unsettled_total", channel=row["channel"])


@dataclass(frozen=True, slots=True)
class Settling:
    """Turns results into settlements, and writes them in one transaction for many.

    Attributes:
        reminder_days: so many days after the request, at its time of the day, the reminder is due; None: nobody is
            reminded.
    """

    pool: Pool
    persons: PersonKeys
    relay: Relay
    now: Callable[[], datetime]
    reminder_days: Callable[[], int | None] = lambda: None
    departs: Departs = at_once
    share: Share = field(default_factory=lambda: SystemRandom().uniform)
    sql: Mapping[str, str] = field(
        default_factory=lambda: named_sql("services.notifier", "queries.sql", "reminders.sql")
    )

    def of(self, row: asyncpg.Record, result: Result, attempts: int) -> Settlement:
        """What a result of the `attempts`-th attempt makes of an invitation."""
        match result.fate:
            case Fate.ACCEPTED:
                return self.settled(row, "accepted", Outcome.ASKED, result.reason)
            case Fate.IN_DOUBT:
                return self.settled(row, "in_doubt", Outcome.IN_DOUBT, result.reason)
            case Fate.REFUSED_FOR_NOW if attempts < MOST_ATTEMPTS:
                wait = pause_before_retry(attempts, result.again_after, self.share)
                return self.settled(row, "planned", Outcome.SCHEDULED, result.reason, wait)
            case _:
                return self.settled(row, "refused", Outcome.FAILED, result.reason)

    def settled(
        self, row: asyncpg.Record, state: str, outcome: Outcome, reason: str | None, again_seconds: float = 0.0
    ) -> Settlement:
        """The settlement that moves an invitation to a state."""
        # Who was told "scheduled" need not be told again, and a reminder changes no decision.
        silent = row["kind"] != "ask" or (outcome is Outcome.SCHEDULED and row["state"] != "in_doubt")
        revision = row["revision"] + (not silent)
        return Settlement(
            invitation_id=row["invitation_id"],
            fence=row["fence"],
            state=state,
            reason=reason,
            revision=revision,
            again_seconds=again_seconds,
            event=None if silent else changed(row, revision, outcome, reason, self.now()),
            reminds=state in ("accepted", "in_doubt") and is_replied_to(row),
        )

    async def write(self, settlements: Sequence[Settlement]) -> Sequence[bool]:
        """Write settlements; tells of each whether it was still ours to settle."""
        async with self.pool.acquire() as connection, connection.transaction():
            if (days := self.reminder_days()) is not None:
                await self._plan_reminders(connection, [s for s in settlements if s.state == "accepted"], days)
            rows = await connection.fetch(
                self.sql["settle"],
                [s.invitation_id for s in settlements],
                [s.fence for s in settlements],
                [s.state for s in settlements],
                [s.reason for s in settlements],
                [s.revision for s in settlements],
                [s.again_seconds for s in settlements],
            )
            moved = {r["invitation_id"] for r in rows}
            events = [s.event for s in settlements if s.event is not None and s.invitation_id in moved]
            await tell(connection, self.sql, events)
            reminders = [s.invitation_id for s in settlements if s.reminds and s.invitation_id in moved]
            await tell_reminded(connection, self.sql, reminders, self.now())
        self.relay.wake()
        return [s.invitation_id in moved for s in settlements]

    async def _plan_reminders(self, connection: Database, accepted: Sequence[Settlement], days: int) -> None:
        """Plan the reminder of each request in the transaction that settles it, under its lock: there is one.

        The link is the same, so the address and the token are sealed again, bound to the reminder's row.
        """
        rows = await connection.fetch(
            self.sql["asks_to_remind_of"],
            [s.invitation_id for s in accepted],
            [s.fence for s in accepted],
        )
        if not rows:
            return
        opened = await self.persons.open_all(
            connection, [Sealed(r["person"], r["sealed"], str(r["invitation_id"])) for r in rows]
        )
        known = await self.persons.look_up(connection, {r["person"] for r in rows})
        boxes = await self.persons.for_closing(connection, [k for k in known.values() if k.wrapped is not None])
        planned = []
        for row, secret in zip(rows, opened, strict=True):
            box, due = boxes.get(row["person"]), self._due(row, days)
            if secret is not None and box is not None and due is not None:
                reminder = time_ordered(row["now"])
                planned.append((row["invitation_id"], reminder, box.close(secret, str(reminder)), due))
        if planned:
            await connection.execute(self.sql["plan_reminders"], *map(list, zip(*planned, strict=True)))

    def _due(self, row: asyncpg.Record, days: int) -> datetime | None:
        """When the reminder may leave; None where its link takes no answers then."""
        told = orjson.loads(row["message"])
        zone, country = told["delivery"]["zone"], told["delivery"]["country"]
        due = self.departs(zone, country, days_later(zone, row["called_at"], days))
        closes = told.get("expires_at")
        return due if closes is None or due < datetime.fromisoformat(closes) else None
