"""Reading a topic to its end while somebody may delete it: it has no such end any more then, and readers would wait."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from aiokafka.errors import UnknownTopicOrPartitionError

from services.chassis.failures import BROKEN_OFF, TryAgain
from services.chassis.settings import Settings
from services.chassis.topic_identity import TopicIdentity, identity_now

T = TypeVar("T")
_LOOK_EVERY = 3.0  # seconds


async def while_it_stands(settings: Settings, topic: str, as_it_was: TopicIdentity, work: Coroutine[Any, Any, T]) -> T:
    """Do work that reads a topic to the end that it had.

    Raises:
        UnknownTopicOrPartitionError: it was deleted meanwhile, or made again.
    """
    task = asyncio.create_task(work)
    try:
        while not (await asyncio.wait({task}, timeout=_LOOK_EVERY))[0]:
            if not await _stands(settings, topic, as_it_was):
                raise UnknownTopicOrPartitionError(topic)
        return task.result()
    finally:
        task.cancel()
        await asyncio.wait({task})


async def _stands(settings: Settings, topic: str, as_it_was: TopicIdentity) -> bool:
    try:
        return (await identity_now(settings, topic)).topic_id == as_it_was.topic_id
    except UnknownTopicOrPartitionError:
        return False
    except (*BROKEN_OFF, TryAgain):
        return True  # who cannot be asked tells nothing of the topic
