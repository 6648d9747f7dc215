"""The default channel: messages stay in the local outbox viewer. Nobody outside is reached."""

import asyncpg

from schemas.delivery import ChannelKind
from services.chassis.failures import is_transient
from services.chassis.postgres import Pool, named_sql
from services.notifier.channels import Fate, Message, Result


class OutboxViewer:
    """Hands messages over to a table of the notifier's own database."""

    kinds = frozenset(ChannelKind)

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._sql = named_sql("services.notifier")

    async def send(self, message: Message) -> Result:
        """Keep the message; a second hand-over of the same reference changes nothing."""
        try:
            async with self._pool.acquire() as connection:
                kept = await connection.fetchval(
                    self._sql["keep_viewer_message"],
                    message.reference,
                    message.kind.value,
                    message.address,
                    message.language,
                    message.subject,
                    message.text,
                    message.link,
                    message.fence,
                )
                there = kept is not None or await connection.fetchval(
                    self._sql["find_viewer_message"], message.reference
                )
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            if not is_transient(error):
                raise
            return Result(Fate.IN_DOUBT, "viewer_unreachable")
        return Result(Fate.ACCEPTED) if there else Result(Fate.IN_DOUBT, "lease_lost")

    async def look_up(self, reference: str) -> Result | None:
        """The table knows."""
        async with self._pool.acquire() as connection:
            if await connection.fetchval(self._sql["find_viewer_message"], reference):
                return Result(Fate.ACCEPTED)
        return Result(Fate.REFUSED_FOR_NOW, "never_arrived")

    async def close(self) -> None:
        """Nothing is held."""
