"""A topic of a test's own, and readers of it whose effects stand in a table."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

import pytest

from services.chassis.consumer import Reader
from services.chassis.lifecycle import Task
from services.chassis.postgres import Pool
from services.chassis.settings import Settings
from tests.harness import (
    Effects,
    Headers,
    effects_of,
    make_effects,
    make_fence,
    make_topic,
    own_loop,
    produce,
    reading,
    until,
)


class Feed(Protocol):
    """What carries records to a reader: `own_loop` or `faststream`."""

    def __call__(self, reader: Reader[bytes], settings: Settings, /, *, max_records: int = 50) -> Task: ...


@dataclass(frozen=True, slots=True)
class Reading:
    """A reader at work, until `stop` is set."""

    reader: Reader[bytes]
    pool: Pool
    stop: asyncio.Event

    async def until(self, holds: Callable[[], Awaitable[bool]], *, seconds: float = 90) -> None:
        """Wait for something to become true; end early when the feed ended."""
        await until(holds, self.stop, seconds=seconds)

    async def applied(self, count: int, *, seconds: float = 90) -> None:
        """Wait for so many effects; one more fails the test."""

        async def has() -> bool:
            found: int = await self.pool.fetchval("SELECT count(*) FROM effect")
            assert found <= count
            return found == count

        await self.until(has, seconds=seconds)

    async def ended(self) -> None:
        """Wait until the feed or its watch ends by itself."""
        await asyncio.wait_for(self.stop.wait(), 90)


@dataclass(frozen=True, slots=True)
class OwnTopic:
    """A topic of this test's own; its readers are one group, and apply to the table `effect` of the pool."""

    settings: Settings
    pool: Pool
    name: str

    @classmethod
    async def make(cls, settings: Settings, pool: Pool, *, partitions: int = 1) -> "OwnTopic":
        return cls(settings, pool, await make_topic(settings, partitions=partitions))

    async def send(self, values: Sequence[bytes | None], *, partition: int = 0, headers: Headers = ()) -> None:
        await produce(self.settings, self.name, values, partition=partition, headers=headers)

    def reader(
        self, effects: Effects | None = None, *, member: str | None = None, group: str | None = None
    ) -> Reader[bytes]:
        """A reader that is not at work yet; `member` is its name in the group."""
        fence = make_fence(self.pool, self.name, effects or Effects(), group=group)
        return Reader(self.settings, fence, [self.name], member)

    @asynccontextmanager
    async def read(
        self, reader: Reader[bytes] | None = None, *, feed: Feed = own_loop, max_records: int = 50
    ) -> AsyncIterator[Reading]:
        """A reader at work, a new one where none is given; raises what ended it."""
        reader = reader or self.reader()
        async with reading(reader, feed(reader, reader.settings, max_records=max_records)) as stop:
            yield Reading(reader, self.pool, stop)

    async def effects(self) -> list[bytes]:
        """What was applied, in order."""
        return await effects_of(self.pool)


@pytest.fixture
async def pool(notifier_pool: Pool) -> Pool:
    """The notifier's tables, and one for the effects of a test."""
    await make_effects(notifier_pool)
    return notifier_pool


@pytest.fixture
async def topic(settings: Settings, pool: Pool) -> OwnTopic:
    return await OwnTopic.make(settings, pool)
