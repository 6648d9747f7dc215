"""Links of invitations that could not be read: they are ours, though nobody knows where they lead."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from services.chassis.deadletter import DeadLetter
from services.chassis.postgres import Database, named_sql

_TOKEN = re.compile(rb'"token_sha256"\s*:\s*"([0-9a-f]{64})"')
_CHECK = re.compile(rb'"check_digest"\s*:\s*"([0-9a-f]{32})"')


@dataclass(frozen=True, slots=True)
class NoteUnreadLinks:
    """Notes the link of an invitation that is put aside, where its record still tells it."""

    sql: Mapping[str, str]

    async def __call__(self, connection: Database, letter: DeadLetter) -> None:
        """Note it, in the transaction that puts the record aside; it is forgotten when the invitation is read."""
        value = letter.record.value
        if (link := _told(_TOKEN, value)) is not None:
            await connection.execute(self.sql["note_unread_link"], link, _told(_CHECK, value))


async def give_up_links(connection: Database, dropped: Iterable[bytes | None], left: Iterable[bytes | None]) -> int:
    """Count links as unknown whose dead letters are dropped for good; returns how many.

    `dropped` and `left` are the values of the letters that go and that can still be replayed.
    """
    gone = {_told(_TOKEN, value) for value in dropped} - {_told(_TOKEN, value) for value in left} - {None}
    status = await connection.execute(named_sql("services.survey")["give_up_links"], list(gone))
    return int(status.rpartition(" ")[2])


def _told(what: re.Pattern[bytes], value: bytes | None) -> bytes | None:
    found = what.search(value or b"")
    return None if found is None else bytes.fromhex(found[1].decode())
