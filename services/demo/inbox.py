"""Where simulated recipients find their messages: the outbox viewer, by its pages or in its table."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, Protocol

import aiohttp
import asyncpg

from services.chassis.persons import PersonKeys
from services.chassis.postgres import OwnConnection, connect
from services.chassis.sealing import Seal
from services.chassis.settings import Settings
from services.notifier.viewer_messages import latest_messages, messages_after

Messages = list[dict[str, Any]]
_AWAY = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


class Inbox(Protocol):
    """The messages of all recipients, by their numbers."""

    async def newest(self) -> int | None:
        """The number of the newest message, 0 where there is none; None while nobody can tell."""

    async def after(self, number: int, limit: int) -> Messages:
        """The messages after a number, oldest first; none while nobody can tell."""

    async def close(self) -> None:
        """Let go of what it reads by."""


@dataclass(slots=True)
class ViewerPages:
    """The notifier's pages for staff at `url`: open in the demo, and to nobody where staff have to sign in."""

    url: str
    _session: aiohttp.ClientSession | None = None

    async def newest(self) -> int | None:
        """See `Inbox`."""
        found = await self._asked({"limit": "1"})
        return found if found is None else max((int(m["id"]) for m in found), default=0)

    async def after(self, number: int, limit: int) -> Messages:
        """See `Inbox`."""
        return await self._asked({"after": str(number), "limit": str(limit)}) or []

    async def close(self) -> None:
        """See `Inbox`."""
        if self._session is not None:
            await self._session.close()

    async def _asked(self, params: dict[str, str]) -> Messages | None:
        self._session = self._session or aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=15))
        try:
            async with self._session.get(f"{self.url}/outbox/messages", params=params) as reply:
                return (await reply.json())["messages"] if reply.status == 200 else None
        except (aiohttp.ClientError, TimeoutError):
            return None


@dataclass(slots=True)
class ViewerTable:
    """The table behind them, for whoever has the database and the sealing key."""

    settings: Settings
    _connection: "OwnConnection | None" = None
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def newest(self) -> int | None:
        """See `Inbox`."""
        found = await self._read(None, 1)
        return found if found is None else max((int(m["id"]) for m in found), default=0)

    async def after(self, number: int, limit: int) -> Messages:
        """See `Inbox`."""
        return await self._read(number, limit) or []

    async def _read(self, after: int | None, limit: int) -> Messages | None:
        async with self._one_at_a_time:
            try:
                if self._connection is None or self._connection.is_closed():
                    self._connection = await connect(self.settings, "notifier", command_timeout=10)
                persons = PersonKeys(Seal.of(self.settings))
                if after is None:
                    return await latest_messages(self._connection, persons, limit)
                return await messages_after(self._connection, persons, after, limit)
            except _AWAY:
                return None

    async def close(self) -> None:
        """See `Inbox`."""
        if self._connection is not None:
            await self._connection.close()
