"""The same counting on Kafka Streams, on the same topic and broker, checked cell by cell against our counters.

`make bench-peers` builds deploy/bench/kafka-streams with Maven and runs it on the machine's Java. Both sides
count exactly once, keep five score bins, commented and contested per cell, and publish changed cells at most once
per publish interval; ours as JSON with CloudEvents headers, the peer in binary.
"""

import asyncio
import shutil
import signal
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import NewTopic

from schemas.topics import RESPONSE_RECORDED
from services.aggregator.counting.windows import WINDOWS, window_start
from services.chassis.kafka import make_admin, make_consumer
from services.chassis.settings import Settings
from services.chassis.topic_identity import topic_partitions
from services.embedded.child import end_child, spawn_child
from services.embedded.kafka import EmbeddedKafka
from tests.benchmarks.machine import cpu_seconds

Table = Counter[tuple[str, str, str, str | None, int]]
"""Counters that are not zero, by cut, value, window, start and column."""
_SOURCE = Path(__file__).parents[2] / "deploy/bench/kafka-streams"
_NAMES = {"merchant_id": "merchant"}
_COMMIT_MS = 1_000
_COUNTERS = 7


@dataclass(frozen=True, slots=True)
class Progress:
    """Seconds of wall and processor time when so many records were done."""

    done: int
    wall: float
    cpu: float


def second_half(track: list[Progress], records: int) -> tuple[float, float]:
    """Microseconds of wall and processor time an event after the first half, when a JVM is warm."""
    middle = next(p for p in track if p.done >= records // 2)
    end = next(p for p in track if p.done >= records)
    events = max(1, end.done - middle.done)
    return 1e6 * (end.wall - middle.wall) / events, 1e6 * (end.cpu - middle.cpu) / events


def tools() -> tuple[str, str]:
    """Paths of Maven and Java.

    Raises:
        RuntimeError: one is missing; says what to install.
    """
    maven, java = shutil.which("mvn"), shutil.which("java")
    if maven is None or java is None:
        missing = " and ".join(n for n, p in (("Maven (mvn)", maven), ("Java 17 or later (java)", java)) if p is None)
        raise RuntimeError(f"Kafka Streams cannot be run here: {missing} is not installed")
    return maven, java


async def build(folder: Path) -> Path:
    """Build the peer in the folder; returns its jar."""
    maven, _ = tools()
    place = folder / "kafka-streams"
    shutil.copytree(_SOURCE, place)
    process = await asyncio.create_subprocess_exec(maven, "-q", "-B", "package", cwd=place)
    if await process.wait():
        raise RuntimeError("Maven could not build deploy/bench/kafka-streams; see above")
    return place / "target/bench-kafka-streams-1.jar"


async def measure_kafka_streams(
    kafka: EmbeddedKafka, settings: Settings, jar: Path, folder: Path, records: int, threads: int, truth: Table
) -> dict[str, float]:
    """Run the peer from an empty state until all is counted and published, compare every cell, report."""
    output = f"bench.cells.{threads}"
    await _make_topic(settings, output)
    _, java = tools()
    publish_ms = int(settings.publish_interval_behind_seconds * 1000)
    heap = ["-Xms2g", "-Xmx3g", "-XX:+UseParallelGC"]
    path = f"{jar}:{jar.parent / 'lib'}/*"
    arguments = [kafka.bootstrap, RESPONSE_RECORDED, output, str(threads), str(_COMMIT_MS), str(publish_ms)]
    state = folder / f"state-{threads}"
    command = [java, *heap, "-cp", path, "bench.CountingJob", *arguments, str(state)]
    log = folder / f"kafka-streams-{threads}.log"
    broker = cpu_seconds(kafka.pid)
    process = spawn_child(command, log=log)
    track: list[Progress] = []
    try:
        started = time.perf_counter()
        admin = make_admin(settings)
        await admin.start()
        while not track or track[-1].done < records:
            await asyncio.sleep(0.2)
            if process.poll() is not None:
                raise RuntimeError(f"Kafka Streams ended: {log.read_text()[-1500:]}")
            offsets = await admin.list_consumer_group_offsets(f"bench-kafka-streams-{threads}")
            done = sum(o.offset for p, o in offsets.items() if p.topic == RESPONSE_RECORDED)
            track.append(Progress(done, time.perf_counter() - started, cpu_seconds(process.pid)))
        await admin.close()
        # The last changes are published within an interval, and committed after it.
        await asyncio.sleep((publish_ms + 2 * _COMMIT_MS) / 1000)
        cpu = cpu_seconds(process.pid)
    finally:
        end_child(process, signal.SIGTERM, 25)
    broker = cpu_seconds(kafka.pid) - broker
    sent, found = await _read(settings, output)
    assert found == truth, f"Kafka Streams with {threads} threads counted wrong, so its speed says nothing"
    wall_late, cpu_late = second_half(track, records)
    return {
        "threads": threads,
        "wall_us": 1e6 * track[-1].wall / records,
        "cpu_us": 1e6 * cpu / records,
        "wall_us_second_half": wall_late,
        "cpu_us_second_half": cpu_late,
        "broker_us": 1e6 * broker / records,
        "cells_sent_per_event": sent / records,
    }


def ratios(ours: Mapping[str, float], peer: Mapping[str, float]) -> str:
    """One line: the peer's figures and how many times ours they are, whole and after the first half."""
    parts = []
    for name, key in (("CPU", "cpu_us"), ("wall", "wall_us")):
        late = f"{key}_second_half"
        whole = f"{name} {peer[key]:.1f} us an event ({peer[key] / ours[key]:.1f} x ours)"
        # A short run may pass its middle and its end between two looks.
        halves = f", second half {peer[late]:.1f} ({peer[late] / ours[late]:.1f} x)" if ours[late] else ""
        parts.append(whole + halves)
    sent = peer["cells_sent_per_event"]
    return f"  Kafka Streams, {peer['threads']:.0f} threads, exact: {'; '.join(parts)}; {sent:.2f} cells sent an event"


async def _make_topic(settings: Settings, name: str) -> None:
    admin = make_admin(settings)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, 4, 1)])
    finally:
        await admin.close()


async def _read(settings: Settings, topic: str) -> tuple[int, Table]:
    """How many committed records a topic holds, and the sum of each cell's last records over the partitions."""
    consumer = make_consumer(settings, group=None, client="bench")
    await consumer.start()
    try:
        sent, last = await _last_records(consumer, await topic_partitions(settings, topic))
    finally:
        await consumer.stop()
    found: Table = Counter()
    for key, value in last.items():
        cut, name = key[1:-5].decode().split("|", 1)
        window, index = WINDOWS[key[-5]], int.from_bytes(key[-4:], "big")
        for n in range(_COUNTERS):
            amount = int.from_bytes(value[4 * n : 4 * n + 4], "big", signed=True)
            found[_NAMES.get(cut, cut), name, window.value, window_start(window, index), n] += amount
    return sent, Counter({k: n for k, n in found.items() if n})


async def _last_records(consumer: AIOKafkaConsumer, parts: list[TopicPartition]) -> tuple[int, dict[bytes, bytes]]:
    consumer.assign(parts)
    await consumer.seek_to_beginning(*parts)
    ends = await consumer.end_offsets(parts)
    sent = 0
    last: dict[bytes, bytes] = {}
    while any([await consumer.position(p) < ends[p] for p in parts]):
        for records in (await consumer.getmany(timeout_ms=200)).values():
            sent += len(records)
            last.update((r.key, r.value) for r in records)
    return sent, last
