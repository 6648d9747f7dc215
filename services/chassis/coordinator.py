"""The broker that leads a consumer's group, and whether it can take anybody in now.

One that cannot write, as with too few copies in step, answers and fails every change of the group's members. Nobody is
refused by it: a process that started anew would get no further.
"""

import asyncio
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    NotCoordinatorForGroupError,
)
from aiokafka.protocol.admin import DescribeGroupsRequest

from services.chassis.kafka import make_client
from services.chassis.settings import Settings

_NOT_NOW: Final = {
    e.errno for e in (GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError)
}
_BETWEEN_MEMBERS: Final = {"PreparingRebalance", "CompletingRebalance"}


class Coordinator:
    """What a process outside of its group can learn of the broker that leads it."""

    def __init__(self, settings: Settings, group: str) -> None:
        self._settings = settings
        self._group = group
        self._seen: object = None

    async def takes_members(self) -> bool:
        """Whether the group stands, with or without members, or is forbidden to us.

        Raises:
            KafkaError, OSError, TimeoutError: nobody says.
        """
        client = make_client(self._settings)
        try:
            async with asyncio.timeout(10):
                await client.bootstrap()
                return await takes_members(client, self._group)
        finally:
            await client.close()

    def was_given_up(self, consumer: AIOKafkaConsumer | None) -> bool:
        """Whether a consumer has given up its coordinator since this was last asked, or has none after it did so."""
        coordinator: Any = None if consumer is None else consumer._coordinator  # noqa: SLF001
        if coordinator is None:
            return False
        # aiokafka makes a new one for each coordinator that it finds, and ends it when that fails.
        before, self._seen = self._seen, coordinator._coordinator_dead_fut  # noqa: SLF001
        return self._seen is not before or coordinator._coordinator_dead_fut.done()  # noqa: SLF001


async def takes_members(client: AIOKafkaClient, group: str) -> bool:
    """The same, asked with this client."""
    try:
        leader = await client.coordinator_lookup(CoordinationType.GROUP, group)
    except GroupAuthorizationFailedError:
        return True
    reply: Any = await client.send(leader, DescribeGroupsRequest([group]))
    [(error, _, state, *_)] = reply.groups
    return error not in _NOT_NOW and state not in _BETWEEN_MEMBERS
