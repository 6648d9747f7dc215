"""A contact wish that goes leaves its masks: which words of the comment held its name, and not the name."""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import asyncpg

from services.chassis.failures import Poison
from services.chassis.persons import PersonKeys, Sealed
from services.chassis.postgres import Database, named_sql
from services.survey.answers.responses import LONGEST_COMMENT
from services.survey.own_names import own_names, words_with

_ALL: Final = range(LONGEST_COMMENT // 2)
"""No comment has more words."""


@dataclass(frozen=True, slots=True)
class MasksKept:
    """Keeps with the comment what the name of a contact wish masks there, before the wish goes."""

    persons: PersonKeys
    _sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.survey", "masks_kept.sql"))

    async def keep(self, connection: Database, responses: Sequence[uuid.UUID]) -> None:
        """Keep the masks of these responses' wishes, in the transaction in which they go.

        The caller holds the rows of the responses: no comment may come meanwhile.
        """
        rows = await connection.fetch(self._sql["wishes_beside_comments"], responses)
        if not rows:
            return
        try:
            opened = await self._open(connection, rows)
        except Poison:  # a person's key that is damaged costs nobody else the comment
            opened = [await self._open_alone(connection, row) for row in rows]
        kept = [(row["response_id"], sorted(_masked(*both))) for row, both in zip(rows, opened, strict=True)]
        await connection.executemany(self._sql["keep_masks"], [(response, words) for response, words in kept if words])

    async def _open(self, connection: Database, rows: Sequence[asyncpg.Record]) -> list[tuple[str | None, str | None]]:
        """Comment and contact of each; None for what cannot be read."""
        comments = [Sealed(r["person"], r["comment_sealed"], r["row"]) for r in rows]
        contacts = [Sealed(r["person"], r["contact"], f"contact {r['row']}") for r in rows]
        opened = await self.persons.open_all(connection, [*comments, *contacts])
        return list(zip(opened[: len(rows)], opened[len(rows) :], strict=True))

    async def _open_alone(self, connection: Database, row: asyncpg.Record) -> tuple[str | None, str | None]:
        try:
            [both] = await self._open(connection, [row])
        except Poison:
            return None, None
        return both


def _masked(comment: str | None, contact: str | None) -> Collection[int]:
    # With a name that cannot be read any word may be it.
    return _ALL if comment is None or contact is None else words_with(comment, own_names(contact))
