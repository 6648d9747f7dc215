"""One system run from an empty state until all is counted and published: what it cost, and whether it is right."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from services.chassis.kafka import make_consumer
from services.chassis.topic_identity import topic_partitions
from services.embedded.child import end_child, spawn_child
from tests.benchmarks.machine import cpu_seconds, family_cpu_seconds, family_memory_mib, peak_memory_mib
from tests.benchmarks.peers.bench import Bench, Job
from tests.benchmarks.peers.systems import System
from tests.benchmarks.peers.tools import CannotRunError
from tests.benchmarks.peers.topics import read_cells, sent_records
from tests.benchmarks.peers.truth import Source, check

_LOOK_EVERY_S = 0.25
_LONGEST_S = 1_200.0


@dataclass(frozen=True, slots=True)
class Progress:
    """Seconds of wall and processor time when so many records were counted."""

    done: int
    wall: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Figures:
    """One run. Microseconds are an event, from the start of the process; memory is the most that it held, in MiB."""

    system: str
    events: int
    cpu_us: float
    wall_us: float
    cpu_us_second_half: float
    wall_us_second_half: float
    postgres_us: float
    broker_us: float
    cells_sent: float
    memory_mib: float
    postgres_mib: float
    load: float

    def as_json(self) -> dict[str, Any]:
        """The figures with two decimals."""
        return {k: round(v, 2) if isinstance(v, float) else v for k, v in asdict(self).items()}


def second_half(track: list[Progress], records: int, published: float) -> tuple[float, float]:
    """Microseconds of wall and processor time an event after the first half, when a JVM is warm.

    Wall time ends when all is counted, processor time when all is published: `published` seconds of it. Noughts
    where nobody looked between the middle and the end.
    """
    middle = next(p for p in track if p.done >= records // 2)
    end = next(p for p in track if p.done >= records)
    if (events := end.done - middle.done) <= 0:
        return 0.0, 0.0
    return 1e6 * (end.wall - middle.wall) / events, 1e6 * (published - middle.cpu) / events


async def measure(bench: Bench, system: System, source: Source, job: Job) -> Figures:
    """Run the system on the records of the job's topic, compare every cell with the truth, tell the figures.

    Raises:
        CannotRunError: it does not run here, or ended, or did not come to an end.
        WrongCountsError: it published other counters than the true ones.
    """
    records = source.records
    await system.prepare(bench, job)
    load = os.getloadavg()[0]
    command, more = system.command(bench, job)
    before, broker = family_cpu_seconds(bench.postgres.pid), cpu_seconds(bench.kafka.pid)
    started = time.perf_counter()
    log = job.folder / "log"
    process = spawn_child(command, log=log, env={**os.environ, **more})

    def used() -> float:
        # PostgreSQL is looked at by every system's run: it must cost nothing where nothing is in it.
        database = family_cpu_seconds(bench.postgres.pid) - before if system.in_postgres else 0.0
        return cpu_seconds(process.pid) + database

    def looked(done: int) -> Progress:
        if process.poll() is not None:
            raise CannotRunError(f"it ended by itself: {log.read_text(errors='replace')[-1_500:].strip()}")
        if time.perf_counter() - started > _LONGEST_S:
            raise CannotRunError(f"after {_LONGEST_S:.0f} s it has counted {done:,} of {records:,} records")
        return Progress(done, time.perf_counter() - started, used())

    try:
        track = await _until_counted(bench, system, job, records, looked)
        published: list[Progress] = []
        await until_quiet(bench, system, job, lambda: published.append(looked(records)))
        cpu = published[-1].cpu
        database = family_cpu_seconds(bench.postgres.pid) - before if system.in_postgres else 0.0
        memory = peak_memory_mib(process.pid), family_memory_mib(bench.postgres.pid) if system.in_postgres else 0.0
    finally:
        _end(process)
    broker = cpu_seconds(bench.kafka.pid) - broker
    sent, found = await read_cells(bench.settings, system.output(job), system.reading)
    check(system.title, found, source.truth)
    wall_late, cpu_late = second_half(track, records, cpu)
    per = 1e6 / records
    wall = track[-1].wall * per
    figures = (cpu * per, wall, cpu_late, wall_late, database * per, broker * per, sent / records)
    return Figures(system.key, records, *figures, *memory, load)


async def _until_counted(
    bench: Bench, system: System, job: Job, records: int, looked: Callable[[int], Progress]
) -> list[Progress]:
    track: list[Progress] = []
    async with system.watch(bench, job) as counted:
        while not track or track[-1].done < records:
            await asyncio.sleep(_LOOK_EVERY_S)
            track.append(looked(await counted()))
    return track


async def until_quiet(bench: Bench, system: System, job: Job, came: Callable[[], None] = lambda: None) -> None:
    """Wait until nothing more comes to the system's topic; `came` is called whenever something has come."""
    patience = (bench.publish_ms + 2 * job.commit_ms) / 1_000 + 1
    consumer = make_consumer(bench.settings, group=None, client="bench")
    await consumer.start()
    try:
        parts = await topic_partitions(bench.settings, system.output(job))
        sent, seen = -1, time.perf_counter()
        while time.perf_counter() - seen < patience:
            if (now := await sent_records(consumer, parts)) != sent:
                sent, seen = now, time.perf_counter()
                came()
            await asyncio.sleep(_LOOK_EVERY_S)
    finally:
        await consumer.stop()


def _end(process: subprocess.Popen[bytes]) -> None:
    if not end_child(process, signal.SIGTERM, 25):
        end_child(process, signal.SIGKILL, 10)
