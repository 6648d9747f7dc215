"""Sends whose fate is not known: seen, and resolved by a person who knows more (C12)."""

from dataclasses import dataclass
from uuid import UUID

import asyncpg

from services.chassis.postgres import Database, Pool, named_sql
from services.notifier.channels import Fate, Result
from services.notifier.settlement import Settling
from services.notifier.verdicts import Verdict

SENT_AGAIN = "sent_again_by_operator"
"""The reason of those that wait to be sent once more; the claim knows them by it."""
_RESULTS = {
    Verdict.ARRIVED: Result(Fate.ACCEPTED, "resolved_by_operator"),
    Verdict.LOST: Result(Fate.REFUSED, "resolved_by_operator"),
    Verdict.AGAIN: Result(Fate.REFUSED_FOR_NOW, SENT_AGAIN),
}

_AT_ONCE = 500


async def list_doubts(connection: Database, most: int) -> list[asyncpg.Record]:
    """The oldest doubts first."""
    return await connection.fetch(named_sql("services.notifier", "doubts.sql")["list_doubts"], most)


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which doubts are meant: those of one reference, or all of which everything that is given holds."""

    reference: UUID | None = None
    merchant: str | None = None
    touchpoint: str | None = None
    channel: str | None = None


async def resolve_doubts(pool: Pool, settling: Settling, chosen: Chosen, verdict: Verdict) -> int:
    """Settle doubts as a person says; returns how many still were any.

    Only those of the beginning: what is sent again and comes into doubt once more meanwhile is left to the next word.
    `again` sends them once more although they may have arrived: whoever claims them counts possible duplicates.
    """
    sql, settled = named_sql("services.notifier", "doubts.sql"), 0
    again = verdict is Verdict.AGAIN
    found = await pool.fetch(sql["chosen_doubts"], chosen.reference, chosen.merchant, chosen.touchpoint, chosen.channel)
    for start in range(0, len(found), _AT_ONCE):
        some = found[start : start + _AT_ONCE]
        rows = await pool.fetch(sql["doubts_of"], [r["invitation_id"] for r in some], [r["fence"] for r in some])
        # A person's word is a first attempt: it goes out at once, and also after the last one of our own.
        moved = await settling.write([settling.of(r, _RESULTS[verdict], 1 if again else r["attempts"]) for r in rows])
        settled += sum(moved)
    return settled
