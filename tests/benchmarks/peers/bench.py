"""The servers of the benchmark, one run on them, and how far a system has counted."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from aiokafka.errors import KafkaError

from services.chassis.kafka import make_admin
from services.chassis.postgres import connect
from services.chassis.settings import Settings
from services.embedded.kafka import EmbeddedKafka
from services.embedded.postgres import EmbeddedPostgres

Counted = Callable[[], Awaitable[int]]
_READ = "SELECT coalesce(sum(next), 0) FROM progress"


COMMIT_MS = 2_000  # ours commits every one and a half seconds or so while behind


@dataclass(frozen=True, slots=True)
class Job:
    """One run of one system."""

    name: str
    """Also its consumer group, its database and the end of its topic's name."""
    folder: Path
    source: str
    commit_ms: int = COMMIT_MS


@dataclass(frozen=True, slots=True)
class Bench:
    """The servers, and settings of ours on them."""

    postgres: EmbeddedPostgres
    kafka: EmbeddedKafka
    settings: Settings

    @property
    def publish_ms(self) -> int:
        """How seldom changed cells are published while counting is behind, by ours and by every peer that can."""
        return int(self.settings.publish_interval_behind_seconds * 1000)

    async def make_database(self, name: str) -> None:
        """An empty database; one of that name is dropped first."""
        connection = await connect(self.settings, "bench", command_timeout=60)
        try:
            await connection.execute(f'DROP DATABASE IF EXISTS "{name}"')
            await connection.execute(f'CREATE DATABASE "{name}"')
        finally:
            await connection.close()

    async def drop_database(self, name: str) -> None:
        """Leave nothing to vacuum beside the next system."""
        connection = await connect(self.settings, "bench", command_timeout=60)
        try:
            await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        finally:
            await connection.close()


@asynccontextmanager
async def counted_in_kafka(settings: Settings, group: str, topic: str) -> AsyncIterator[Counted]:
    """Tells the sum of a group's committed offsets."""
    admin = make_admin(settings)
    await admin.start()

    async def counted() -> int:
        try:
            offsets = await admin.list_consumer_group_offsets(group)
        except KafkaError as error:
            if error.retriable:  # the topic of groups is made with the first of them
                return 0
            raise
        return sum(o.offset for part, o in offsets.items() if part.topic == topic)

    try:
        yield counted
    finally:
        await admin.close()


@asynccontextmanager
async def counted_in_postgres(dsn: str, schema: str, where: str = "", *values: str) -> AsyncIterator[Counted]:
    """Tells the sum of the offsets in the table `progress`; 0 while there is none."""
    connection = await asyncpg.connect(dsn, server_settings={"search_path": schema})

    async def counted() -> int:
        try:
            return int(await connection.fetchval(_READ + where, *values))
        except asyncpg.UndefinedTableError:
            return 0

    try:
        yield counted
    finally:
        await connection.close()
