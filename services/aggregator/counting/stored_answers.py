"""The last revisions of answers, kept as cheaply as their number allows."""

from collections.abc import Mapping

import asyncpg
import numpy as np

from services.aggregator.counting.answer_columns import AnswerColumns
from services.aggregator.counting.answers import Before, Kept
from services.aggregator.counting.packed_answers import COLUMNS, packed_answers, packed_ids
from services.aggregator.counting.windows import Int64
from services.chassis.copy_in import copy_in
from services.chassis.failures import TryAgain
from services.chassis.postgres import Database

_MANY = 2_000
"""From so many answers on it pays to ask first which of them are new."""


async def keep_answers(connection: Database, sql: Mapping[str, str], answers: AnswerColumns) -> Kept:
    """Keep what is newer than what was known; returns that. Of each answer one revision, in no certain order.

    Many go in ascending: neighbours in the index are then written together, each part of it once.

    Call inside a transaction on a connection with the incoming tables.

    Raises:
        TryAgain: another process kept one of them at the same time, from another topic.
    """
    if len(answers) < _MANY:
        return await _upserted(connection, sql, answers)
    answers = answers.at(_ascending(answers))
    await connection.execute(sql["make_asked"])
    await copy_in(connection, "asked", ["answers"], packed_ids(answers))
    found = {row[0].bytes for row in await connection.fetch(sql["which_answers"])}
    known = np.fromiter(map(found.__contains__, answers.ids()), bool, len(answers))
    first = answers.at(~known)
    try:
        await _copied(connection, "answer", first)
    except asyncpg.UniqueViolationError:
        raise TryAgain("an answer was counted elsewhere meanwhile") from None
    again = await _upserted(connection, sql, answers.at(known))
    return Kept(first.followed_by(again.answers), again.before)


def _ascending(answers: AnswerColumns) -> Int64:
    """The places of answers in the order of their numbers; the first half of a number tells nearly all apart."""
    halves = np.ascontiguousarray(answers.rows["id"]).view(">u8").reshape(-1, 2)
    return np.argsort(halves[:, 0].astype(np.uint64))


async def _upserted(connection: Database, sql: Mapping[str, str], answers: AnswerColumns) -> Kept:
    if not len(answers):
        return Kept(answers, [])
    await _copied(connection, "incoming_answer", answers)
    rows = await connection.fetch(sql["keep_answers"])
    # Those without an old revision come first.
    rows.sort(key=lambda row: row[1] is not None)
    place_of = {name: place for place, name in enumerate(answers.ids())}
    places = np.array([place_of[row[0].bytes] for row in rows], np.int64)
    return Kept(answers.at(places), [Before(*row[1:]) for row in rows if row[1] is not None])


async def _copied(connection: Database, table: str, answers: AnswerColumns) -> None:
    await copy_in(connection, table, COLUMNS, packed_answers(answers))
