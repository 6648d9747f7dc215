"""Whether PostgreSQL is still the server that a process began with: what it remembers of its tables is of that one.

An address may lead to another server after a failover, a change of DNS or a restore. A standby and a base backup bear
the identifier of the server that they were copied from: where one of them takes over, it is the same server.
"""

import asyncio
from typing import Final

import asyncpg

from services.chassis.failures import MustStop
from services.chassis.pauses import pause_or_stop

_IDENTIFIER: Final = "SELECT system_identifier FROM pg_control_system()"
_LOOK_EVERY: Final = 0.2
_ANSWERS_WITHIN: Final = 10.0


class KnownServer:
    """The server of the first connection; each later one is compared with it, and `watch` ends the process."""

    def __init__(self) -> None:
        self._first: int | None = None
        self._other: int | None = None

    async def recognize(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        """Let a new connection pass if its server is the first one's, or says to this account what it is to nobody.

        Raises:
            CannotConnectNowError: it is another one. To whoever wants to work, PostgreSQL is away.
            Database errors, TimeoutError: this cannot be told now.
        """
        try:
            found = await connection.fetchval(_IDENTIFIER, timeout=_ANSWERS_WITHIN)
        except asyncpg.InsufficientPrivilegeError:
            return
        if self._first is None:
            self._first = found
        elif found != self._first:
            self._other = found
            raise asyncpg.CannotConnectNowError("PostgreSQL is another server than before")

    async def watch(self, stop: asyncio.Event) -> None:
        """Run until stopped.

        Raises:
            MustStop: a connection led to another server; names both, and says what to do.
        """
        while not await pause_or_stop(_LOOK_EVERY, stop):
            if self._other is not None:
                raise MustStop(
                    f"PostgreSQL is another server than before (system identifier {self._first}, now {self._other}):"
                    " let KVITTERA_POSTGRES_DSN lead to the first one again; if the other one is meant, start again"
                )
