"""The default channel: messages stay in the local outbox viewer, sealed. Nobody outside is reached."""

import json

import asyncpg

from schemas.delivery import ChannelKind
from services.chassis.failures import is_transient
from services.chassis.persons import PersonKeys
from services.chassis.postgres import Database, Pool, named_sql
from services.chassis.sealing import Seal
from services.notifier.channels import Fate, Message, Result


class OutboxViewer:
    """Hands messages over to a table of the notifier's own database."""

    kinds = frozenset(ChannelKind)

    def __init__(self, pool: Pool, seal: Seal) -> None:
        self._pool = pool
        self._persons = PersonKeys(seal)
        self._sql = named_sql("services.notifier")

    async def send(self, message: Message) -> Result:
        """Keep the message; a second hand-over of the same reference changes nothing."""
        try:
            async with self._pool.acquire() as connection:
                kept = await self._keep(connection, message)
                there = kept or await connection.fetchval(self._sql["find_viewer_message"], message.reference)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            if not is_transient(error):
                raise
            return Result(Fate.IN_DOUBT, "viewer_unreachable")
        return Result(Fate.ACCEPTED) if there else Result(Fate.IN_DOUBT, "lease_lost")

    async def _keep(self, connection: Database, message: Message) -> bool:
        person = await connection.fetchval(self._sql["person_of"], message.reference)
        known = (await self._persons.look_up(connection, [person]))[person] if person else None
        if known is None or known.wrapped is None:
            return False  # no such invitation, or erased a moment ago
        boxes = await self._persons.for_closing(connection, [known])
        text = {
            "recipient": message.address,
            "subject": message.subject,
            "body": message.text,
            "link": message.link,
        }
        kept = await connection.fetchval(
            self._sql["keep_viewer_message"],
            message.reference,
            message.kind.value,
            message.language,
            person,
            boxes[person].close(json.dumps(text), f"message {message.reference}"),
            message.fence,
        )
        return kept is not None

    async def look_up(self, reference: str) -> Result | None:
        """The table knows."""
        async with self._pool.acquire() as connection:
            if await connection.fetchval(self._sql["find_viewer_message"], reference):
                return Result(Fate.ACCEPTED)
        return Result(Fate.REFUSED_FOR_NOW, "never_arrived")

    async def close(self) -> None:
        """Nothing is held."""
