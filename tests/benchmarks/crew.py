"""Processes that stand still until there is something to do, so that what is measured is their work and no start."""

import asyncio
import signal
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
from aiokafka.errors import KafkaError

from services.aggregator.counting.reading import GROUP as COUNTING
from services.chassis.kafka import make_admin, make_consumer
from services.chassis.settings import Settings
from services.chassis.topic_identity import topic_partitions
from services.notifier.state import GROUP, MODELS
from tests.benchmarks.machine import cpu_seconds, resident_mib
from tests.benchmarks.stages import read_samples
from tests.benchmarks.system import running, settings_of

_GROUPS = {"notifier": ("kvittera-notifier", GROUP), "aggregator": (COUNTING,)}
_BEHIND = """
SELECT EXISTS (SELECT FROM unnest($1::text[], $2::int[], $3::bigint[]) AS e (topic, part, ends)
               LEFT JOIN progress AS p USING (topic, part) WHERE coalesce(p.next, 0) < e.ends)
"""


@dataclass(frozen=True, slots=True)
class Crew:
    """Processes that share the partitions, and where each tells its stages at its end."""

    processes: Sequence[subprocess.Popen[bytes]]
    samples: Sequence[Path]

    def stand_still(self) -> None:
        """Do nothing from now on; what was sampled until now is forgotten when they go on."""
        for process in self.processes:
            process.send_signal(signal.SIGSTOP)
            process.send_signal(signal.SIGUSR1)

    def go_on(self) -> None:
        """Work."""
        for process in self.processes:
            process.send_signal(signal.SIGCONT)

    def cpu_seconds(self) -> float:
        """Processor time of all since their start."""
        return sum(cpu_seconds(p.pid) for p in self.processes)

    def most_mib(self) -> float:
        """Memory of the largest."""
        return max(resident_mib(p.pid) for p in self.processes)

    def stages(self) -> Mapping[str, float]:
        """The share of each stage in the sampled processor time of all, from 0 to 1, once they have ended."""
        found: Counter[str] = Counter()
        for file in self.samples:
            found.update(read_samples(file))
        return {stage: n / found.total() for stage, n in found.items()}


@asynccontextmanager
async def crew(
    ports: Sequence[int],
    environment: dict[str, str],
    connection: asyncpg.Connection,
    log: Path,
    service: str = "notifier",
) -> AsyncIterator[Crew]:
    """A process of the service for each port; they have their partitions and nothing left to read."""
    settings = settings_of(environment)
    samples = [log.with_suffix(f".{port}.stages") for port in ports]
    async with AsyncExitStack() as stack:
        processes = [
            (await stack.enter_async_context(running(service, environment, log, sampled=file, port=port)))[0]
            for file, port in zip(samples, ports, strict=True)
        ]
        await _until_shared(settings, _GROUPS[service], len(ports))
        if service == "notifier":
            await _until_heard(settings, connection)
        all_of_them = Crew(processes, samples)
        try:
            yield all_of_them
        finally:
            all_of_them.go_on()


async def _until_shared(settings: Settings, groups: Sequence[str], size: int) -> None:
    """Kafka waits for a member that has ended; a rebalance while it works would be measured too."""
    admin = make_admin(settings)
    await admin.start()
    try:
        while not all([await _is_shared(admin, group, size) for group in groups]):
            await asyncio.sleep(0.2)
    finally:
        await admin.close()


async def _is_shared(admin: Any, group: str, size: int) -> bool:
    try:
        [reply] = await admin.describe_consumer_groups([group])
    except KafkaError:
        return False  # a new cluster has no coordinator yet
    [(_, _, state, _, _, members, *_)] = reply.groups
    return bool(state == "Stable" and len(members) == size)


async def _until_heard(settings: Settings, connection: asyncpg.Connection) -> None:
    """What other benchmarks have put into the topics that a notifier hears is no part of any delivery's cost."""
    consumer = make_consumer(settings, group=None, client="bench")
    await consumer.start()
    try:
        parts = [part for topic in MODELS for part in await topic_partitions(settings, topic)]
        ends = await consumer.end_offsets(parts)
    finally:
        await consumer.stop()
    waiting = [(p.topic, p.partition, end) for p, end in ends.items() if end]
    while waiting and await connection.fetchval(_BEHIND, *map(list, zip(*waiting, strict=True))):
        await asyncio.sleep(0.2)
