"""The whole system at an even rate: what a stretch of time took, once it has run warm."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from typing import Any

from services.chassis.postgres import OwnConnection, connect
from services.chassis.settings import Settings
from services.demo.supervisor import SERVICES
from tests.benchmarks.machine import describe_machine
from tests.benchmarks.peak_hour.people import people, until_proven
from tests.benchmarks.peak_hour.place import Place, services
from tests.benchmarks.peak_hour.provider import Provider
from tests.benchmarks.peak_hour.readings import Extremes, Reading, read
from tests.benchmarks.peak_hour.traffic import Hop, Tally
from tests.benchmarks.system import prepare, settings_of

_CALM_SECONDS, _IDLE_SECONDS = 5.0, 20.0


@dataclass(frozen=True, slots=True)
class Ran:
    """What a stretch of an even run took.

    Attributes:
        machine: cores, load and Python.
        rate: deliveries a second that were wanted.
        seconds: of the stretch.
        counts: deliveries decided, asked, answered, rows that the outboxes got, messages taken, pages opened.
        records, log_bytes: by topic.
        table_bytes: by table, indexes included.
        wal_bytes: by service, and `all` of the server.
        waiting: the most rows of each outbox that waited for Kafka.
        cpu, idle_cpu: seconds of processor time by process; the second in a second in which nothing happened.
        memory_mib: the most of each process; PostgreSQL with its children, what they share once.
        hops: bytes sent and received by who called whom.
    """

    machine: str
    rate: float
    seconds: float
    counts: Mapping[str, int]
    records: Mapping[str, int]
    log_bytes: Mapping[str, int]
    table_bytes: Mapping[str, int]
    wal_bytes: Mapping[str, int]
    waiting: Mapping[str, int]
    cpu: Mapping[str, float]
    idle_cpu: Mapping[str, float]
    memory_mib: Mapping[str, float]
    hops: Mapping[str, Mapping[str, int]]

    def as_dict(self) -> dict[str, Any]:
        """For machines, without what nothing came to."""
        told = {f.name: getattr(self, f.name) for f in fields(self)}
        return {k: {n: v for n, v in d.items() if v} if isinstance(d, Mapping) else d for k, d in told.items()}


async def run(place: Place, provider: Provider, rate: float, warm: float, seconds: float) -> Ran:
    """Deliver at a rate and measure for so many seconds after the warm ones; then prove that all of it is right."""
    environment = place.environment()
    settings = settings_of(environment)
    await prepare(settings, SERVICES)
    machine = describe_machine()
    async with services(place, environment):
        meter = await connect(settings, "public", command_timeout=60)
        crowd, stop, ended = people(place, settings, rate), asyncio.Event(), asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(crowd.recipients.run(ended))
            await crowd.recipients.ready.wait()
            group.create_task(crowd.upstream.run(stop))

            async def look() -> tuple[Reading, Counter[str]]:
                reading = await read(time.monotonic(), meter, settings, place.segments, place.pids)
                return reading, Counter(messages=len(provider.messages), pages=crowd.recipients.opened)

            async with _watched(place, settings) as (tally, extremes):
                await asyncio.sleep(warm)
                hops, wal = tally.now(), Counter(extremes.wal)
                extremes.waiting.clear()
                before, met_before = await look()
                await asyncio.sleep(seconds)
                after, met = await look()
                hops, wal = tally.now() - hops, extremes.wal - wal
            stop.set()
            memory = place.memory_mib()
            await until_proven(crowd, provider, settings)
            ended.set()
        # At the end: right after its start a broker's compiler works on by itself.
        idle = await _idle(place, settings, meter)
        await meter.close()
    found = after.since(before)
    return Ran(
        machine=machine,
        rate=rate,
        seconds=found.at,
        counts=found.counts + (met - met_before),
        records=found.records,
        log_bytes=found.log_bytes,
        table_bytes=found.table_bytes,
        wal_bytes={**wal, "all": found.wal_bytes},
        waiting=dict(extremes.waiting),
        cpu=found.cpu,
        idle_cpu=idle,
        memory_mib=memory,
        hops=_by_hop(hops),
    )


async def _idle(place: Place, settings: Settings, meter: OwnConnection) -> dict[str, float]:
    """What each process takes of a second in which nothing happens."""
    readings = []
    for pause in (_CALM_SECONDS, _IDLE_SECONDS):
        await asyncio.sleep(pause)
        readings.append(await read(time.monotonic(), meter, settings, place.segments, place.pids))
    found = readings[1].since(readings[0])
    return {name: used / found.at for name, used in found.cpu.items()}


@asynccontextmanager
async def _watched(place: Place, settings: Settings) -> AsyncIterator[tuple[Tally, Extremes]]:
    """Look each second at what a later look would miss."""
    tally, extremes = Tally(place.ports, {pid: name for name, pid in place.pids.items()}), Extremes()
    connection = await connect(settings, "public", command_timeout=60)

    async def look() -> None:
        while True:
            tally.look()
            await extremes.look(connection)
            await asyncio.sleep(1)

    looking = asyncio.create_task(look())
    try:
        yield tally, extremes
    finally:
        looking.cancel()
        await asyncio.wait([looking])
        await connection.close()


def _by_hop(carried: Counter[tuple[Hop, str]]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for (hop, way), size in carried.items():
        found.setdefault(f"{hop.client} to {hop.server}", {})[way] = size
    return found
