"""Praise in PostgreSQL: rows to and from decisions, and the message of each change in the same transaction."""

import dataclasses
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg

from schemas.feedback import FeedbackPraise
from schemas.response import ResponseRecorded
from services.chassis.postgres import Database, named_sql
from services.survey.praise.rules import Praise, State

SQL: Mapping[str, str] = named_sql("services.survey", "praise.sql")
_FIELDS = tuple(field.name for field in dataclasses.fields(Praise))


def from_row(row: asyncpg.Record) -> Praise:
    """The praise in a row of the table."""
    values: dict[str, Any] = {name: row[name] for name in _FIELDS}
    values |= {
        "praise_id": str(row["praise_id"]),
        "state": State(row["state"]),
        "reasons": tuple(row["reasons"]),
        "masks": tuple(row["masks"]),
        "withdrawn_from": None if row["withdrawn_from"] is None else State(row["withdrawn_from"]),
    }
    return Praise(**values)


async def locked(connection: Database, ids: Iterable[uuid.UUID]) -> dict[str, Praise]:
    """The praise with these ids, locked until the transaction ends."""
    found = [from_row(row) for row in await connection.fetch(SQL["praise_of"], list(ids))]
    return {praise.praise_id: praise for praise in found}


async def share_drivers(connection: Database, praising: Iterable[ResponseRecorded]) -> None:
    """Let no driver whom these answers praise decline until the transaction ends; asked for before any row is locked.

    Praise that is kept already needs none of this: who declines waits for its row.
    """
    if drivers := sorted({m.known.driver for m in praising if m.known.driver is not None}):
        await connection.execute(SQL["share_drivers"], drivers)


async def keep(connection: Database, changed: Sequence[Praise]) -> None:
    """Write praise as it stands now."""
    await connection.executemany(SQL["keep_praise"], [_values(praise) for praise in changed])


async def tell(connection: Database, changed: Sequence[Praise]) -> None:
    """Put the message of each change in the outbox."""
    drivers = [p.driver for p in changed if p.driver is not None]
    declined = {r["driver"] for r in await connection.fetch(SQL["declined_drivers"], drivers)}
    messages = [published(p, driver_declined=p.driver in declined) for p in changed]
    await connection.execute(
        SQL["tell"], [p.praise_id for p in changed], [m.model_dump_json(exclude_none=True).encode() for m in messages]
    )


async def give_signs(connection: Database, praised: Iterable[Praise]) -> None:
    """Give each praised driver a sign at the terminal; one that was given stays for good."""
    for terminal, driver in sorted({(p.terminal, p.driver) for p in praised if p.terminal and p.driver}):
        await connection.execute(SQL["lock_signs"], terminal)
        await connection.execute(SQL["give_sign"], terminal, driver)


async def note(
    connection: Database,
    praise_id: str,
    at: datetime,
    what: str,
    *,
    member: tuple[str, str] | None = None,
    sealed: bytes | None = None,
) -> None:
    """Add to the timeline; `member` is subject and name."""
    subject, name = member or (None, None)
    await connection.execute(SQL["keep_event"], uuid.UUID(praise_id), at, what, subject, name, sealed)


def published(praise: Praise, *, driver_declined: bool) -> FeedbackPraise:
    """The message that tells of it; a driver who declined is not named even by pseudonym."""
    return FeedbackPraise(
        praise_id=praise.praise_id,
        revision=praise.revision,
        response_id=praise.praise_id,
        withdrawn=praise.state is State.WITHDRAWN,
        score=praise.score,
        reasons=praise.reasons,
        commented=praise.comment_digest is not None,
        carrier=praise.carrier,
        terminal=praise.terminal,
        route=praise.route,
        driver=None if driver_declined else praise.driver,
        service_point=praise.service_point,
        occurred_at=praise.occurred_at,
        praised_at=praise.praised_at,
        passed_on_at=praise.passed_on_at,
        on_board=praise.state is State.ON_BOARD,
        pass_on_by=praise.pass_on_by,
    )


def _values(praise: Praise) -> list[Any]:
    values = [getattr(praise, name) for name in _FIELDS]
    return [uuid.UUID(values[0]), *(v.value if isinstance(v, State) else v for v in values[1:])]
