"""`invitation.decided.v1` told again: a decision in a higher revision, after something has become of it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg
import orjson

from schemas.delivery import ChannelKind
from schemas.invitation import Outcome
from schemas.topics import INVITATION_DECIDED
from services.chassis.postgres import Database

_MAY_HAVE_LEFT = frozenset({Outcome.ASKED, Outcome.IN_DOUBT})


class Event(NamedTuple):
    """What is told, by the key whose order matters."""

    key: str
    value: bytes
    traceparent: str | None


def changed(row: asyncpg.Record, revision: int, outcome: Outcome, reason: str | None, now: datetime) -> Event:
    """The event of a request that changed; its row holds what all revisions share, and when it was called.

    The row's `delivery` is as known now, and `snapshot` that of the decision, where they differ; the event has the
    snapshot in `delivery`, by which everything counts.
    """
    told = orjson.loads(row["message"])
    if (snapshot := told.pop("snapshot", None)) is not None:
        told |= {"delivery": snapshot, "corrected": told["delivery"]}
    told |= {"revision": revision, "outcome": outcome.value, "decided_at": now.isoformat()}
    if reason is not None:
        told["reason"] = reason
    if outcome in _MAY_HAVE_LEFT and (called_at := row.get("called_at")) is not None:
        told["sent_at"] = called_at.isoformat()
    return Event(row["delivery_id"], orjson.dumps(told), row["traceparent"])


def changes(rows: Iterable[asyncpg.Record], outcome: Outcome, now: datetime, reason: str | None = None) -> list[Event]:
    """The events of rows that a statement has changed; where no reason is given, each row has its own, or none.

    Nothing is told of a reminder, which changes no decision; but see `tell_reminded`.
    """
    return [changed(r, r["revision"], outcome, reason or r.get("reason"), now) for r in rows if r["kind"] == "ask"]


def is_replied_to(row: asyncpg.Record) -> bool:
    """Whether it is a reminder that people reply to by text message."""
    return bool(row["kind"] == "reminder" and row["channel"] == ChannelKind.SMS)


async def tell_reminded(connection: Database, sql: Mapping[str, str], reminders: Sequence[UUID], now: datetime) -> None:
    """Tell anew of the requests whose reminders left, or may have: a reply is about the message that was sent last."""
    if reminders:
        await tell(connection, sql, changes(await connection.fetch(sql["reminded"], reminders), Outcome.ASKED, now))


async def tell(
    connection: Database, sql: Mapping[str, str], events: Sequence[Event], topic: str = INVITATION_DECIDED
) -> None:
    """Tell events in the caller's transaction."""
    if events:
        keys, values, traceparents = zip(*events, strict=True)
        await connection.execute(sql["tell"], topic, keys, values, traceparents)
