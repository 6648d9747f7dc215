"""Flush when idle: concurrent small writes share one statement and one disk flush (design section 6).

A flush starts at once when none is in flight; what comes meanwhile waits and goes together. Quiet times
cost no delay, busy times grow the batch, and no timer has to be tuned.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

from services.chassis.failures import Overloaded, is_transient

I = TypeVar("I")  # noqa: E741  item
R = TypeVar("R")


class _Miscounted(RuntimeError):
    """The flush is wrong, not an item; it was written, so it must not be tried in halves."""


class MicroBatcher(Generic[I, R]):
    """Collects items, flushes them together, gives each its own result.

    Args:
        flush: writes all items in one statement and returns their results in the same order.
        key: items of the same key never share a flush; their order is kept.
        largest: most items in one flush.
        queue: items that may wait; more raise `Overloaded`.
    """

    def __init__(
        self,
        flush: Callable[[Sequence[I]], Awaitable[Sequence[R]]],
        *,
        key: Callable[[I], Hashable],
        largest: int = 512,
        queue: int = 4096,
    ) -> None:
        self._flush = flush
        self._key = key
        self._largest = largest
        self._queue = queue
        self._waiting: deque[tuple[I, asyncio.Future[R]]] = deque()
        self._running: asyncio.Task[None] | None = None

    async def submit(self, item: I) -> R:
        """Write one item; returns when it is committed.

        Raises:
            Overloaded: too much is waiting already; nothing was kept.
        """
        return await self.put(item)

    def put(self, item: I) -> asyncio.Future[R]:
        """As `submit`, for callers that are no task; Overloaded is raised at once."""
        if len(self._waiting) >= self._queue:
            raise Overloaded("too many writes are waiting")
        result: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, result))
        if self._running is None:
            self._running = asyncio.create_task(self._flush_until_empty())
        return result

    async def drained(self) -> None:
        """Return when nothing is in flight."""
        while self._running is not None:
            await asyncio.wait([self._running])

    async def _flush_until_empty(self) -> None:
        try:
            while self._waiting:
                await self._deliver(self._next_batch())
        finally:
            self._running = None

    def _next_batch(self) -> list[tuple[I, asyncio.Future[R]]]:
        batch: list[tuple[I, asyncio.Future[R]]] = []
        later: list[tuple[I, asyncio.Future[R]]] = []
        seen: set[Hashable] = set()
        while self._waiting and len(batch) < self._largest:
            item, result = self._waiting.popleft()
            if (key := self._key(item)) in seen:
                later.append((item, result))
            else:
                seen.add(key)
                batch.append((item, result))
        self._waiting.extendleft(reversed(later))
        return batch

    async def _deliver(self, batch: list[tuple[I, asyncio.Future[R]]]) -> None:
        try:
            results = await self._flush([item for item, _ in batch])
            if len(results) != len(batch):
                raise _Miscounted(f"a flush of {len(batch)} answered for {len(results)}")  # noqa: TRY301
        except Exception as error:  # noqa: BLE001  each caller gets the failure of its own item
            if len(batch) > 1 and not is_transient(error) and not isinstance(error, _Miscounted):
                # One bad row must not fail its neighbours: halve until it stands alone.
                half = len(batch) // 2
                await self._deliver(batch[:half])
                await self._deliver(batch[half:])
                return
            for _, result in batch:
                if not result.done():
                    result.set_exception(error)
            return
        for (_, result), value in zip(batch, results, strict=True):
            if not result.done():
                result.set_result(value)
