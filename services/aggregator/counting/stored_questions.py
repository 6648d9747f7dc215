"""Answers to further questions, kept beside the answers that are counted; most answers have none."""

import uuid
from collections.abc import Mapping

import numpy as np
import orjson

from services.aggregator.counting.answers import Kept
from services.chassis.postgres import Database


async def keep_questions(connection: Database, sql: Mapping[str, str], kept: Kept) -> None:
    """Keep what newer revisions say to further questions; what one does not say any more goes.

    Call inside the transaction that keeps the answers, with what that found newer.
    """
    answers, said = kept.answers, kept.answers.rows["further"] >= 0
    if said.any():
        await connection.execute(
            sql["keep_questions"],
            [uuid.UUID(bytes=name) for name in answers.at(said).ids()],
            [orjson.dumps(answers.follow_ups(place)).decode() for place in np.flatnonzero(said).tolist()],
        )
    # Whoever was only known as having opened the page has answered nothing before.
    answered_before = np.array([before.counting is not None for before in kept.before], bool)
    silent = np.flatnonzero(~said[kept.first :] & answered_before) + kept.first
    if len(silent):
        await connection.execute(sql["forget_questions"], [uuid.UUID(bytes=name) for name in answers.at(silent).ids()])
