"""What the outbox viewer holds, opened: for staff, demos and operators."""

import json

import asyncpg

from services.chassis.persons import PersonKeys, Sealed
from services.chassis.postgres import Database, named_sql

Shown = dict[str, object]
"""Number, reference, channel, language, recipient, subject, body, link and `created_at` of one message."""


async def messages_after(connection: Database, persons: PersonKeys, number: int, limit: int) -> list[Shown]:
    """The messages after a number, oldest first."""
    sql = named_sql("services.notifier")["viewer_messages_after"]
    return await _opened(connection, persons, await connection.fetch(sql, number, limit))


async def latest_messages(connection: Database, persons: PersonKeys, limit: int) -> list[Shown]:
    """The latest messages, newest first."""
    sql = named_sql("services.notifier")["latest_viewer_messages"]
    return await _opened(connection, persons, await connection.fetch(sql, limit))


async def _opened(connection: Database, persons: PersonKeys, rows: list[asyncpg.Record]) -> list[Shown]:
    sealed = [Sealed(r["person"], r["sealed"], f"message {r['reference']}") for r in rows]
    texts = await persons.open_all(connection, sealed)
    return [_shown(r, text) for r, text in zip(rows, texts, strict=True) if text is not None]


def _shown(row: asyncpg.Record, text: str) -> Shown:
    told: Shown = {name: row[name] for name in ("id", "reference", "channel", "language")}
    return {**told, **json.loads(text), "created_at": row["created_at"].isoformat()}
