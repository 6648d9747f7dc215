"""Whether a process has its place in its consumer group, and when it has waited for one too long."""

import time

from aiokafka import AIOKafkaConsumer

from services.chassis.coordinator import Coordinator
from services.chassis.failures import MustStop
from services.chassis.settings import Settings

_LET_IN_WITHIN = 30.0  # a group waits for members that died until their time is over


class PlaceInGroup:
    """What is known of our membership; times are by `time.monotonic`.

    Attributes:
        joined: partitions were given out to us, be it none, and are positioned.
        heard: Kafka answers, and the group takes members in.
    """

    def __init__(self, settings: Settings, group: str) -> None:
        self.joined = False
        self.heard = False
        self.coordinator = Coordinator(settings, group)
        self._group = group
        self._stall = settings.stall_seconds
        self._assigned: float | None = None
        self._outside = time.monotonic()

    def assigned(self) -> float:
        """Partitions are given out to us; they are to be positioned within the stall time from the time returned."""
        self._assigned = time.monotonic()
        return self._assigned

    def positioned(self) -> None:
        """All of them are."""
        self.joined, self._assigned = True, None

    def excuse(self) -> None:
        """The time outside begins anew: a new process would have no place either."""
        self._outside = time.monotonic()

    async def is_heard(self) -> bool:
        """Whether the group would let us in; asked only while we are outside."""
        return self.joined or await self.coordinator.takes_members()

    def check(self, consumer: AIOKafkaConsumer | None) -> None:
        """Wait no longer than a new process would.

        Raises:
            MustStop: positions or a place in the group did not come.
        """
        # Until partitions are positioned nothing is known to wait. A statement to a PostgreSQL that was cut off never
        # ends: asyncpg waits for its cancellation too.
        if self._assigned is not None and time.monotonic() - self._assigned > 2 * self._stall:
            raise MustStop(f"nobody says where {self._group} is to read on: starting anew")
        # Who is refused by its group, or whose aiokafka has ceased to ask, has no partitions and so no lag.
        given_up = self.coordinator.was_given_up(consumer)
        if self.joined or self._assigned is not None or not self.heard or given_up:
            self.excuse()
        elif time.monotonic() - self._outside > max(2 * self._stall, _LET_IN_WITHIN):
            raise MustStop(f"{self._group} is not let into its group though Kafka answers: starting anew")
