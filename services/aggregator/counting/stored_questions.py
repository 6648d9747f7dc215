"""Answers to further questions, kept beside the answers that are counted; most answers have none."""

from collections.abc import Mapping, Sequence

import orjson

from services.aggregator.counting.answers import Kept
from services.chassis.postgres import Database


async def keep_questions(connection: Database, sql: Mapping[str, str], kept: Sequence[Kept]) -> None:
    """Keep what newer revisions say to further questions; what one does not say any more goes.

    Call inside the transaction that keeps the answers, with what that found newer.
    """
    said = [placed for placed, _ in kept if placed.answer.follow_ups]
    if said:
        await connection.execute(
            sql["keep_questions"],
            [p.answer.response_id for p in said],
            [orjson.dumps(p.answer.follow_ups).decode() for p in said],
        )
    # Whoever was only known as having opened the page has answered nothing before.
    silent = [p.answer.response_id for p, before in kept if before and before.counting and not p.answer.follow_ups]
    if silent:
        await connection.execute(sql["forget_questions"], silent)
