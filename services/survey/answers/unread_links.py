"""Links of invitations that could not be read: they are ours, though nobody knows where they lead."""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
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


async def give_up_links(connection: Database, letters: AsyncIterator[Sequence[tuple[bytes | None, bool]]]) -> int:
    """Count links as unknown whose dead letters are dropped for good; returns how many.

    Args:
        connection: its own, since what is read is gathered in a table of this session: there may be millions.
        letters: in batches the value of each, and whether it is dropped or can still be replayed.
    """
    sql = named_sql("services.survey")
    await connection.execute(sql["make_told_link"])
    async for batch in letters:
        links = [(link, goes) for value, goes in batch if (link := _told(_TOKEN, value)) is not None]
        await connection.executemany(sql["tell_link"], links)
    status = await connection.execute(sql["give_up_links"])
    return int(status.rpartition(" ")[2])


def _told(what: re.Pattern[bytes], value: bytes | None) -> bytes | None:
    found = what.search(value or b"")
    return None if found is None else bytes.fromhex(found[1].decode())
