"""Who asks PostgreSQL something for a person waits for seconds, and not for as long as a silent connection lasts.

A timeout around a statement is none while the server is cut off: asyncpg then waits for the cancellation too.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import asyncpg

from services.chassis.postgres import Pool

T = TypeVar("T")
ANSWERED_WITHIN: Final = 4.0
"""Seconds for what a person waits for. Twice that is less than the 10 s after which the page's script gives up."""
_THERE_WITHIN = 2.0


async def within(seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """The result of work that may take so many seconds; what is cut short ends by itself later.

    Raises:
        TimeoutError: it took longer; it is not known what became of it.
    """
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    except asyncio.CancelledError:
        task.cancel()
        raise
    if done:
        return task.result()
    task.cancel()
    task.add_done_callback(_let_pass)
    raise TimeoutError("it is not known what became of it")


@dataclass(slots=True)
class Presence:
    """Knows whether PostgreSQL answers now; all that ask at once share a statement."""

    pool: Pool
    _asking: "asyncio.Task[bool] | None" = field(default=None)

    async def is_there(self) -> bool:
        """Whether a statement comes to its end within two seconds."""
        # One that waits is not begun again: each look would take one more connection of the pool.
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        await asyncio.wait({self._asking}, timeout=_THERE_WITHIN)
        return self._asking.done() and self._asking.result()

    async def _ask(self) -> bool:
        try:
            async with self.pool.acquire() as connection:
                await connection.execute("SELECT 1")
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            return False
        return True


def _let_pass(task: "asyncio.Future[Any]") -> None:
    if not task.cancelled():
        task.exception()
