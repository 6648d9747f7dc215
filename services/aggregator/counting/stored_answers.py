"""The last revisions of answers, kept as cheaply as their number allows."""

from collections.abc import Mapping, Sequence

import asyncpg

from services.aggregator.counting.answers import Before, Kept, Placed
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
        await connection.copy_records_to_table("answer", records=map(_row, first))
    except asyncpg.UniqueViolationError:
        raise TryAgain("an answer was counted elsewhere meanwhile") from None
    again = [p for p in placed if p.answer.response_id.int in known]
    return [*((p, None) for p in first), *await _upserted(connection, sql, again)]


async def _upserted(connection: Database, sql: Mapping[str, str], placed: Sequence[Placed]) -> list[Kept]:
    if not placed:
        return []
    await connection.copy_records_to_table("incoming_answer", records=map(_row, placed))
    told = {p.answer.response_id.int: p for p in placed}
    return [
        (told[row[0].int], None if row[1] is None else Before(*row[1:]))
        for row in await connection.fetch(sql["keep_answers"])
    ]


def _row(placed: Placed) -> tuple[object, ...]:
    a, at = placed.answer, placed.minute
    return (a.response_id, a.revision, a.score, a.commented, a.contested, at // 60, placed.units, at % 60, a.series)
