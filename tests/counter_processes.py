"""Aggregators in processes of their own, and records for them that come while something goes wrong."""

import asyncio
import os
import resource
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from aiokafka import AIOKafkaConsumer, TopicPartition

from services.aggregator.counting.reading import TOPICS
from services.chassis.kafka import make_consumer
from services.chassis.postgres import connect
from services.chassis.settings import PREFIX, Settings
from services.chassis.topic_identity import topic_partitions
from services.embedded.child import end_child, spawn_child
from services.embedded.ports import free_port
from tests.accounts import Told, told_by
from tests.drawn_records import mixed
from tests.harness import producing, until

_ENDS_WITHIN = 25.0
_MANY = 5_000
_BROKEN_EACH = 200


@dataclass(slots=True)
class Counters:
    """Real aggregators, by name; each keeps its port, so that Kafka knows it again.

    Attributes:
        settings: the servers as the test reaches them.
        bootstrap: where the processes find Kafka.
        dsn: where they find PostgreSQL.
    """

    folder: Path
    settings: Settings
    bootstrap: str
    dsn: str
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _ports: dict[str, int] = field(default_factory=dict)

    def start(self, *names: str, **own: str) -> None:
        """Start processes with settings of their own."""
        for name in names:
            variables = {
                "KAFKA_BOOTSTRAP": self.bootstrap,
                "POSTGRES_DSN": self.dsn,
                "ALLOW_UNSAFE_POSTGRES": "true",
                "SEALING_KEY": self.settings.sealing_key.get_secret_value(),
                "AGGREGATOR_PORT": str(self._ports.setdefault(name, free_port())),
                "INSTANCE": name,
                "LOG_FORMAT": "json",
                **own,
            }
            self.running[name] = spawn_child(
                [sys.executable, "-m", "services", "aggregator"],
                log=self.folder / f"{name}.log",
                env={**os.environ, **{PREFIX + key: text for key, text in variables.items()}},
            )

    async def ready(self, *names: str) -> None:
        """Wait until these read."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
            for name in names:

                async def is_ready(name: str = name) -> bool:
                    assert self.running[name].poll() is None, self.last_words(name)
                    try:
                        async with session.get(f"http://127.0.0.1:{self._ports[name]}/health/ready") as reply:
                            return reply.status == 200
                    except (aiohttp.ClientError, TimeoutError):
                        return False

                await until(is_ready)

    def signal(self, number: signal.Signals, *names: str) -> None:
        """Send a signal to each."""
        for name in names:
            self.running[name].send_signal(number)

    def leave_no_memory(self, name: str) -> None:
        """Let a process take no more memory than it has."""
        pid = self.running[name].pid
        own = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        resource.prlimit(pid, resource.RLIMIT_AS, (own, own))

    async def end(self, *names: str) -> list[int | None]:
        """SIGTERM, as a deploy does; returns how each ended, None where it did not in time."""
        gone = [self.running.pop(name) for name in names]
        await asyncio.gather(*(asyncio.to_thread(end_child, p, signal.SIGTERM, _ENDS_WITHIN) for p in gone))
        return [p.returncode for p in gone]

    async def ends_by_itself(self, name: str, within: float) -> int:
        """Wait until a process ends that was not told to; returns how."""
        process = self.running.pop(name)
        try:
            return await asyncio.to_thread(process.wait, within)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"{name} neither works nor ends: {self.last_words(name)}") from None

    def last_words(self, name: str) -> str:
        """The end of what a process logged."""
        return (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")[-3000:]

    async def kill(self) -> None:
        """End whatever still runs."""
        for process in self.running.values():
            process.kill()
            process.wait()


class Followed:
    """The records of the topics that are counted, read as they come by a consumer of the test's own."""

    def __init__(self, consumer: AIOKafkaConsumer, parts: Sequence[TopicPartition]) -> None:
        self._consumer = consumer
        self._told: dict[TopicPartition, list[Told]] = {part: [] for part in parts}

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            for part, records in (await self._consumer.getmany(timeout_ms=50)).items():
                assert [r.offset for r in records] == [*range(len(self._told[part]), records[-1].offset + 1)]
                self._told[part] += map(told_by, records)

    async def up_to(self, positions: Mapping[TopicPartition, int]) -> Mapping[TopicPartition, Sequence[Told]]:
        """What was read; waits until that is all below the positions."""
        async with asyncio.timeout(60):
            while any(len(self._told[part]) < at for part, at in positions.items()):
                await asyncio.sleep(0.01)
        return self._told

    async def ends(self) -> dict[TopicPartition, int]:
        """Where the topics end now."""
        found: dict[TopicPartition, int] = await self._consumer.end_offsets(list(self._told))
        return found


@asynccontextmanager
async def following(settings: Settings) -> AsyncIterator[Followed]:
    """Follow the topics that are counted from their first record."""
    consumer = make_consumer(settings, group=None, client="oracle")
    await consumer.start()
    parts = [part for topic in TOPICS for part in await topic_partitions(settings, topic)]
    consumer.assign(parts)
    followed = Followed(consumer, parts)
    work = asyncio.create_task(followed.run())
    try:
        yield followed
        assert not work.done()
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        await consumer.stop()


@asynccontextmanager
async def load(settings: Settings, seed: int, *, every: float = 0.01) -> AsyncIterator[None]:
    """Drawn records, broken ones among them, one after the other while the body lasts."""
    stop = asyncio.Event()

    async def send() -> None:
        async with producing(settings) as producer:
            for topic, key, value in mixed(seed, _MANY, _BROKEN_EACH):
                if stop.is_set():
                    break
                (await producer.send(topic, value, key=key)).add_done_callback(lambda sent: sent.exception())
                await asyncio.sleep(every)
            await producer.flush()

    work = asyncio.create_task(send())
    try:
        yield
        assert not work.done()
    finally:
        stop.set()
        async with asyncio.timeout(60):
            await work


async def positions(settings: Settings) -> dict[TopicPartition, int]:
    """How far each partition is counted."""
    connection = await connect(settings, "aggregator")
    rows = await connection.fetch("SELECT topic, part, next FROM progress WHERE topic = ANY($1)", TOPICS)
    await connection.close()
    return {TopicPartition(r["topic"], r["part"]): r["next"] for r in rows}


async def all_counted(settings: Settings, followed: Followed, *, moves_within: float) -> None:
    """Wait until every record is counted or put aside; fails once nothing moves for so many seconds."""
    before: dict[TopicPartition, int] = {}

    async def moved_or_done() -> bool:
        return (now := await positions(settings)) != before or now == await followed.ends()

    while before != await followed.ends():
        await until(moved_or_done, seconds=moves_within)
        before = await positions(settings)
