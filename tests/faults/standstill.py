"""How long work stood still: the longest time in which some reader got nothing of some partition under steady load."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from schemas.topics import DELIVERY_COMPLETED, INVITATION_DECIDED, RESPONSE_RECORDED
from services.chassis.pauses import pause_or_stop
from services.chassis.postgres import connect
from services.chassis.settings import Settings

_BUSY = [DELIVERY_COMPLETED, INVITATION_DECIDED, RESPONSE_RECORDED]
"""Topics of which, under load, each partition gets several records a second."""
_POSITIONS = """
SELECT service, topic, part, next FROM (
    SELECT 'notifier' AS service, topic, part, next FROM notifier.progress
    UNION ALL SELECT 'survey', topic, part, next FROM survey.progress
    UNION ALL SELECT 'aggregator', topic, part, next FROM aggregator.progress
) AS p WHERE topic = ANY($1)
"""
_LOOK_EVERY = 0.2


class Reading(NamedTuple):
    """A partition and the service that reads it."""

    service: str
    topic: str
    part: int


@dataclass(slots=True)
class Standstill:
    """What was seen of every partition of the busy topics.

    Attributes:
        positions: how far each is read.
        moved: when each was last seen to be read on, by the monotonic clock.
        longest: for each, how long it was not read on at most, in seconds.
    """

    positions: dict[Reading, int] = field(default_factory=dict)
    moved: dict[Reading, float] = field(default_factory=dict)
    longest: dict[Reading, float] = field(default_factory=dict)

    @property
    def worst(self) -> float:
        """The longest standstill of all."""
        return max(self.longest.values())

    def see(self, positions: dict[Reading, int], now: float) -> None:
        """Note how far everything is read now."""
        for reading, at in positions.items():
            since = now - self.moved.setdefault(reading, now)
            self.longest[reading] = max(self.longest.get(reading, 0.0), since)
            if at != self.positions.get(reading):
                self.positions[reading], self.moved[reading] = at, now

    def still_since(self, moment: float) -> list[Reading]:
        """What was not read on after a moment."""
        return [reading for reading, moved in self.moved.items() if moved <= moment]


@asynccontextmanager
async def watched(settings: Settings) -> AsyncIterator[Standstill]:
    """Look at all positions while the body runs."""
    seen, stop = Standstill(), asyncio.Event()
    connection = await connect(settings, "public")

    async def look() -> None:
        while not await pause_or_stop(_LOOK_EVERY, stop):
            rows = await connection.fetch(_POSITIONS, _BUSY)
            at = {Reading(r["service"], r["topic"], r["part"]): r["next"] for r in rows}
            seen.see(at, time.monotonic())

    looking = asyncio.create_task(look())
    try:
        yield seen
    finally:
        stop.set()
        await looking
        await connection.close()
