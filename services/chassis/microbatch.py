"""Flush when idle: concurrent small writes share one statement and one disk flush (design section 6).

A flush starts at once when none is in flight; what comes meanwhile waits and goes together, with the next one
or, when enough waits, beside those in flight. Quiet times cost no delay, busy times grow the batch, and no timer
has to be tuned.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

from services.chassis.failures import Overloaded, is_transient

I = TypeVar("I")  # noqa: E741  item
R = TypeVar("R")


_WORTH_A_FLUSH = 16
"""A statement costs PostgreSQL about what eight of its rows do: twice as many are worth one beside those under way."""
_LOOK = 0.25
"""How often it is looked who waits for too long."""


class _Miscounted(RuntimeError):
    """The flush is wrong, not an item; it was written, so it must not be tried in halves."""


class MicroBatcher(Generic[I, R]):
    """Collects items, flushes them together, gives each its own result.

    Args:
        flush: writes all items in one statement and returns their results in the same order.
        key: items of the same key never share a flush; their order is kept.
        largest: most items in one flush.
        queue: items that may wait; more raise `Overloaded`.
        flushes: most flushes at once. More than one keep process, database and disk at work at the same time.
        linger: seconds in which further items may join a flush, where nobody waits for it.
        patience: seconds after which an item that is not done fails with TimeoutError; None: it waits for ever. What
            was not begun by then never will be; of what was begun it is not known whether it is written.
    """

    def __init__(
        self,
        flush: Callable[[Sequence[I]], Awaitable[Sequence[R]]],
        *,
        key: Callable[[I], Hashable],
        largest: int = 512,
        queue: int = 4096,
        flushes: int = 1,
        linger: float = 0.0,
        patience: float | None = None,
    ) -> None:
        self._flush = flush
        self._key = key
        self._largest = largest
        self._queue = queue
        self._waiting: deque[tuple[I, asyncio.Future[R]]] = deque()
        self._flushes = flushes
        self._linger = linger
        self._patience = patience
        self._dated: deque[tuple[float, asyncio.Future[R]]] = deque()
        self._silent = False
        self._under_way = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._busy: set[Hashable] = set()

    async def submit(self, item: I) -> R:
        """Write one item; returns when it is committed.

        Raises:
            Overloaded: too much is waiting already; nothing was kept.
            TimeoutError: it took longer than our patience.
        """
        return await self.put(item)

    def put(self, item: I) -> asyncio.Future[R]:
        """As `submit`, for callers that are no task; Overloaded is raised at once."""
        if len(self._waiting) >= self._queue:
            raise Overloaded("too many writes are waiting")
        loop = asyncio.get_running_loop()
        result: asyncio.Future[R] = loop.create_future()
        if self._silent and self._under_way >= self._flushes:
            result.set_exception(TimeoutError("nothing that was begun comes to its end"))
            return result
        self._waiting.append((item, result))
        if self._patience is not None:
            if not self._dated:
                loop.call_later(_LOOK, self._fail_the_late)
            self._dated.append((loop.time() + self._patience, result))
        if not self._under_way or (
            self._under_way < self._flushes and (self._silent or len(self._waiting) >= _WORTH_A_FLUSH)
        ):
            self._under_way += 1
            task = asyncio.create_task(self._flush_until_empty())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return result

    async def drained(self) -> None:
        """Return when nothing is in flight."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _fail_the_late(self) -> None:
        # One look at the oldest costs less than a timer for each.
        loop = asyncio.get_running_loop()
        while self._dated and (self._dated[0][1].done() or self._dated[0][0] <= loop.time()):
            _, result = self._dated.popleft()
            if not result.done():
                self._silent = True
                result.set_exception(TimeoutError("it is not known whether it was written"))
        if self._dated:
            loop.call_later(_LOOK, self._fail_the_late)

    async def _flush_until_empty(self) -> None:
        try:
            while self._waiting:
                if self._linger and len(self._waiting) < self._largest:
                    await asyncio.sleep(self._linger)
                if not (batch := self._next_batch()):
                    break
                keys = {self._key(item) for item, _ in batch}
                self._busy |= keys
                try:
                    await self._deliver(batch)
                finally:
                    self._busy -= keys
                    self._silent = False
        finally:
            self._under_way -= 1  # at once: what comes next must not wait for a task that has just ended

    def _next_batch(self) -> list[tuple[I, asyncio.Future[R]]]:
        batch: list[tuple[I, asyncio.Future[R]]] = []
        later: list[tuple[I, asyncio.Future[R]]] = []
        seen = set(self._busy)
        while self._waiting and len(batch) < self._largest:
            item, result = self._waiting.popleft()
            if result.done() and not result.cancelled():
                continue  # whoever waited was told that it was not written
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
