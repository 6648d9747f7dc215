"""PostgreSQL is cut off and says nothing, not even that it is gone: a reader ends itself, whatever it was at."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest
from pydantic import SecretStr

from services.chassis import consumer as chassis_consumer
from services.chassis.failures import MustStop
from services.chassis.postgres import Pool, open_pool
from services.chassis.settings import Settings
from tests.cut_servers import postgres_by_line
from tests.harness import make_effects, numbered, until
from tests.network import Line
from tests.own_topic import OwnTopic

STALL = 1.0


@dataclass(frozen=True, slots=True)
class Cut:
    """A pool that reaches PostgreSQL by a line."""

    line: Line
    pool: Pool


@pytest.fixture
async def cut(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Cut]:
    monkeypatch.setattr(chassis_consumer, "_IDENTITY_EVERY", 0.1)  # so that its look waits for PostgreSQL too
    async with postgres_by_line(settings.postgres_dsn.get_secret_value()) as (to_postgres, by_line):
        pool = await open_pool(settings.model_copy(update={"postgres_dsn": SecretStr(by_line)}), "notifier")
        await make_effects(pool)
        yield Cut(to_postgres, pool)
        pool.terminate()


@dataclass(frozen=True, slots=True)
class Reading:
    """A reader of a topic, by a pool that can be cut off."""

    cut: Cut
    topic: OwnTopic

    async def ends_by_itself(self, meanwhile: Callable[[], Awaitable[None]]) -> None:
        """Read, cut PostgreSQL off by `meanwhile`, and wait until the reader gives up; raises why it did."""
        async with self.topic.read() as reading:
            try:
                await meanwhile()
                async with asyncio.timeout(10 * STALL):
                    await reading.stop.wait()
            finally:
                self.cut.line.heal()  # so that the test can end

    async def has_three(self) -> bool:
        return len(await self.topic.effects()) == 3


@pytest.fixture
async def read(settings: Settings, cut: Cut) -> Reading:
    topic = await OwnTopic.make(settings.model_copy(update={"stall_seconds": STALL}), cut.pool)
    await topic.send(numbered(1, 3))
    return Reading(cut, topic)


async def test_a_reader_that_cannot_ask_where_to_read_on_ends_itself(read: Reading) -> None:
    async def from_the_start() -> None:
        return

    read.cut.line.cut()
    with pytest.raises(MustStop, match="nobody says where"):
        await read.ends_by_itself(from_the_start)
    assert await read.topic.effects() == []


async def test_a_reader_whose_batch_hears_no_more_of_postgresql_ends_itself(read: Reading) -> None:
    async def while_it_reads() -> None:
        await until(read.has_three)
        read.cut.line.cut()
        await asyncio.sleep(0.3)  # its look at the topics has begun
        await read.topic.send(numbered(4, 6))

    with pytest.raises(MustStop, match="nothing moves"):
        await read.ends_by_itself(while_it_reads)
