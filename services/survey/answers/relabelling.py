"""Answers about another party: staff say whom an answer is about, and it leaves the first party's counters (E1)."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from schemas.response import RatedParty
from services.chassis.postgres import Pool, named_sql


class ChangedSince(Exception):
    """The answer is not the one that staff looked at any more."""


@dataclass(frozen=True, slots=True)
class Relabelling:
    """Changes whom an answer is about; who did it and why stays in a table of its own."""

    pool: Pool
    wake: Callable[[], None]
    now: Callable[[], datetime]
    _sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.survey"))

    async def relabel(
        self,
        response_id: uuid.UUID,
        rated: RatedParty,
        by: tuple[str, str],
        reason: str,
        seen: int | None = None,
    ) -> int | None:
        """Say whom an answer is about; returns the revision that stands, None where there is no such answer.

        A changed label is a new revision with its event. The same label again changes nothing.

        Args:
            response_id: the answer.
            rated: whom it is about.
            by: the member of staff: the stable id of the sign-in, and the name.
            reason: a word of those that staff choose from; no personal data.
            seen: the revision of the answer that they looked at; None: any.

        Raises:
            ChangedSince: the answer has another revision and another label; nothing was kept.
        """
        async with self.pool.acquire() as connection, connection.transaction():
            answer = await connection.fetchrow(self._sql["lock_label"], response_id)
            if answer is not None and answer["rated"] != rated and seen not in {None, answer["revision"]}:
                raise ChangedSince
            row = await connection.fetchrow(
                self._sql["relabel"], response_id, rated.value, by[0], reason, self.now(), by[1]
            )
            if row is None:
                return None
            if row["changed"]:
                await connection.execute(self._sql["tell_responses"], [response_id])
        self.wake()
        return int(row["revision"])
