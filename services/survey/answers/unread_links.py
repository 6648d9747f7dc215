"""Links of invitations that could not be read: they are ours, though nobody knows where they lead."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from services.chassis.deadletter import DeadLetter
from services.chassis.postgres import Database

_TOKEN = re.compile(rb'"token_sha256"\s*:\s*"([0-9a-f]{64})"')


@dataclass(frozen=True, slots=True)
class NoteUnreadLinks:
    """Notes the link of an invitation that is put aside, where its record still tells it."""

    sql: Mapping[str, str]

    async def __call__(self, connection: Database, letter: DeadLetter) -> None:
        """Note it, in the transaction that puts the record aside; it is forgotten when the invitation is read."""
        if (found := _TOKEN.search(letter.record.value or b"")) is not None:
            await connection.execute(self.sql["note_unread_link"], bytes.fromhex(found[1].decode()))
