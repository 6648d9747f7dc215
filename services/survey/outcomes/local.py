"""The default way out: the message stays here, sealed, for staff to read. Nobody is reached."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg

from services.chassis.failures import is_transient
from services.chassis.postgres import Pool, named_sql
from services.chassis.sealing import Box
from services.survey.outcomes.message import Fate, OutcomeMessage, Result


@dataclass(frozen=True, slots=True)
class LocalOutbox:
    """Keeps messages beside their case; the address is not kept."""

    pool: Pool
    box: Box
    sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.survey", "outcomes.sql"))

    async def send(self, message: OutcomeMessage) -> Result:
        """Keep the message, unless its person was erased meanwhile; a second time changes nothing."""
        sealed = self.box.close(f"{message.subject}\n\n{message.text}", f"kept {message.reference}")
        try:
            async with self.pool.acquire() as connection:
                kept = await connection.execute(self.sql["keep_in_local_outbox"], UUID(message.reference), sealed)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            if not is_transient(error):
                raise
            return Result(Fate.IN_DOUBT, "outbox_unreachable")
        # Nobody was told. A message that somebody doubted before it was kept stays in doubt.
        return Result(Fate.WITHHELD, "local_outbox" if kept == "UPDATE 1" else "erased")
