"""Sends whose fate is not known: seen, and resolved by a person who knows more (C12)."""

from uuid import UUID

import asyncpg

from services.chassis.metrics import Metrics
from services.chassis.postgres import Database, Pool, named_sql
from services.notifier.channels import Fate, Result
from services.notifier.settlement import Settling
from services.notifier.verdicts import Verdict

_RESULTS = {
    Verdict.ARRIVED: Result(Fate.ACCEPTED, "resolved_by_operator"),
    Verdict.LOST: Result(Fate.REFUSED, "resolved_by_operator"),
    Verdict.AGAIN: Result(Fate.REFUSED_FOR_NOW, "sent_again_by_operator"),
}


async def list_doubts(connection: Database, most: int) -> list[asyncpg.Record]:
    """The oldest doubts first."""
    return await connection.fetch(named_sql("services.notifier", "doubts.sql")["list_doubts"], most)


async def resolve_doubt(pool: Pool, settling: Settling, reference: UUID, verdict: Verdict, metrics: Metrics) -> bool:
    """Settle a doubt as a person says; returns whether it still was one.

    `again` sends it once more although it may have arrived: that is counted as a possible duplicate.
    """
    sql = named_sql("services.notifier", "doubts.sql")
    async with pool.acquire() as connection:
        row = await connection.fetchrow(sql["lock_doubt"], reference)
    if row is None:
        return False
    attempts = 1 if verdict is Verdict.AGAIN else row["attempts"]
    [moved] = await settling.write([settling.of(row, _RESULTS[verdict], attempts)])
    if moved and verdict is Verdict.AGAIN:
        metrics.count("kvittera_possible_duplicates_total", channel=row["channel"])
    return moved
