"""The last revisions of answers, kept as cheaply as their number allows."""

import io
from collections.abc import Mapping, Sequence

import asyncpg

from services.aggregator.counting.answers import Before, Kept, Placed
from services.aggregator.counting.packed_answers import COLUMNS, packed_answers
from services.chassis.failures import TryAgain
from services.chassis.postgres import Database

_MANY = 2_000
"""From so many answers on it pays to ask first which of them are new."""


async def keep_answers(connection: Database, sql: Mapping[str, str], placed: Sequence[Placed]) -> list[Kept]:
    """Keep what is newer than what was known; returns that. Of each answer one revision, in no certain order.

    Call inside a transaction on a connection with the incoming tables.

    Raises:
        TryAgain: another process kept one of them at the same time, from another topic.
    """
    if len(placed) < _MANY:
        return await _upserted(connection, sql, placed)
    rows = await connection.fetch(sql["which_answers"], [p.answer.response_id for p in placed])
    known = {row[0].int for row in rows}
    first = [p for p in placed if p.answer.response_id.int not in known]
    try:
        await _copied(connection, "answer", first)
    except asyncpg.UniqueViolationError:
        raise TryAgain("an answer was counted elsewhere meanwhile") from None
    again = [p for p in placed if p.answer.response_id.int in known]
    return [*((p, None) for p in first), *await _upserted(connection, sql, again)]


async def _upserted(connection: Database, sql: Mapping[str, str], placed: Sequence[Placed]) -> list[Kept]:
    if not placed:
        return []
    await _copied(connection, "incoming_answer", placed)
    told = {p.answer.response_id.int: p for p in placed}
    return [
        (told[row[0].int], None if row[1] is None else Before(*row[1:]))
        for row in await connection.fetch(sql["keep_answers"])
    ]


async def _copied(connection: Database, table: str, placed: Sequence[Placed]) -> None:
    source = io.BytesIO(packed_answers(placed))
    await connection.copy_to_table(table, source=source, columns=COLUMNS, format="binary")
