"""`invitation.decided.v1` told again: a decision in a higher revision, after something has become of it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import asyncpg
import orjson

from schemas.invitation import Outcome
from schemas.topics import INVITATION_DECIDED
from services.chassis.postgres import Database


class Event(NamedTuple):
    """What is told, by the key whose order matters."""

    key: str
    value: bytes
    traceparent: str | None


def changed(row: asyncpg.Record, revision: int, outcome: Outcome, reason: str | None, now: datetime) -> Event:
    """The event of a request that changed; its row holds what all revisions share."""
    told = orjson.loads(row["message"])
    told |= {"revision": revision, "outcome": outcome.value, "decided_at": now.isoformat()}
    if reason is not None:
        told["reason"] = reason
    return Event(row["delivery_id"], orjson.dumps(told), row["traceparent"])


def changes(rows: Iterable[asyncpg.Record], outcome: Outcome, now: datetime, reason: str | None = None) -> list[Event]:
    """The events of rows that a statement has changed; where no reason is given, each row has its own, or none.

    Nothing is told of a reminder: it changes no decision.
    """
    return [changed(r, r["revision"], outcome, reason or r.get("reason"), now) for r in rows if r["kind"] == "ask"]


async def tell(
    connection: Database, sql: Mapping[str, str], events: Sequence[Event], topic: str = INVITATION_DECIDED
) -> None:
    """Tell events in the caller's transaction."""
    if events:
        keys, values, traceparents = zip(*events, strict=True)
        await connection.execute(sql["tell"], topic, keys, values, traceparents)
