"""Nothing is sent before what was said has been heard: wishes, erasures, corrections and answers that Kafka holds.

A claim reads all of it again from PostgreSQL, which knows nothing of what this group has not read yet: after a pause of
the service, or while Kafka is away.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from services.chassis.metrics import Metrics
from services.chassis.pauses import cut_short, pause_or_stop

log = structlog.get_logger()
PATIENCE = 5.0
"""Seconds that one look waits for what is on its way."""
_EVERY = 0.5
_OLDEST = 3.0


@dataclass(slots=True)
class Hearing:
    """Knows up to when all was heard.

    Attributes:
        all_heard: whether all that Kafka held when it was asked has been applied.
        clock: seconds, never going back.
    """

    all_heard: Callable[[], Awaitable[bool]]
    metrics: Metrics
    clock: Callable[[], float] = time.monotonic
    _as_of: float = -math.inf
    _told: bool = False

    def is_current(self) -> bool:
        """Whether everything said until three seconds ago has been heard."""
        return self.clock() - self._as_of <= _OLDEST

    async def run(self, stop: asyncio.Event) -> None:
        """Look twice a second until stopped."""
        await cut_short(self._run(stop), stop, finish_within=0)

    async def _run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            asked = self.clock()
            if await self.all_heard():
                self._as_of = asked
            self._tell()
            await pause_or_stop(_EVERY, stop)

    def _tell(self) -> None:
        waits = not self.is_current()
        self.metrics.set("kvittera_sending_heard", int(not waits))
        if waits and not self._told:
            log.warning("sending waits", action="wait", what="wishes, corrections and answers are not all read")
        elif self._told and not waits:
            log.info("sending goes on", action="go_on")
        self._told = waits
