"""Events per second of the aggregator catching up, with CPU per event, exact against a fold in plain Python.

The topic is filled first (4 partitions, uncompressed); 3 % of the records are repeated and 4 % of the
responses revised. Eight cuts in four windows make 32 counters an event.
"""

import asyncio
import random
import time
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
from aiokafka import TopicPartition

from schemas.satisfaction import Window
from schemas.topics import RESPONSE_RECORDED, SATISFACTION_CELLS
from services.aggregator.cells.rows import Cells
from services.chassis.kafka import make_consumer, make_producer
from services.chassis.postgres import connect
from services.chassis.settings import Settings
from services.chassis.topic_identity import topic_partitions
from services.embedded.kafka import EmbeddedKafka
from services.embedded.postgres import EmbeddedPostgres
from tests.benchmarks.machine import cpu_seconds, family_cpu_seconds
from tests.benchmarks.stages import as_json, forget_statements, shares, statement_shares, table
from tests.benchmarks.system import prepare, running, settings_of, variables

_CUTS = ("total", "country", "terminal", "route", "driver", "service_point", "merchant", "method")
_WINDOWS = ("hour", "day", "month", "all")
_READ = "SELECT coalesce(sum(next), 0) FROM progress WHERE topic = $1"
_WAL = "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"
_UNPUBLISHED = "SELECT count(*) FROM touched"
_METHODS = ("service_point", "parcel_locker", "home_day", "home_evening", "home_box")


async def measure_counting(
    postgres: EmbeddedPostgres, kafka: EmbeddedKafka, folder: Path, events: int
) -> dict[str, object]:
    """Fill the topic, start the aggregator, wait until all is counted, check, report."""
    cuts = folder / "cuts.toml"
    cuts.write_text(f"windows = {list(_WINDOWS)!r}\ncuts = {list(_CUTS)!r}\n")
    environment = variables(postgres, kafka, KVITTERA_CUTS_FILE=str(cuts))
    settings = settings_of(environment)
    await prepare(settings)
    records, scores = make_records(events)
    size = sum(len(v) for _, v in records) / len(records)
    await fill(settings, records)
    counters = len(_CUTS) * len(_WINDOWS)
    print(f"counted events per second, {counters} counters an event, {len(records):,} records of {size:.0f} B")
    connection = await connect(settings, "aggregator", command_timeout=300)
    await forget_statements(connection)
    samples = folder / "stages.json"
    before, wal = family_cpu_seconds(postgres.pid), await connection.fetchval(_WAL)
    async with running("aggregator", environment, folder / "aggregator.log", sampled=samples) as (process, _):
        started = time.perf_counter()
        base = cpu_seconds(process.pid)
        while await connection.fetchval(_READ, RESPONSE_RECORDED) < len(records):
            await asyncio.sleep(0.1)
        seconds = time.perf_counter() - started
        # What was counted is also published before the clock of the processor stops.
        while await connection.fetchval(_UNPUBLISHED):
            await asyncio.sleep(0.1)
        published = time.perf_counter() - started
        python = cpu_seconds(process.pid) - base
    database = family_cpu_seconds(postgres.pid) - before
    wal = await connection.fetchval(_WAL) - wal
    statements = await statement_shares(connection)
    sent = sum((await _ends(settings)).values())
    await connection.execute("ANALYZE")  # the audit joins all there is, and no autovacuum may have come by yet
    total = await Cells().of_cut(connection, "total", Window.ALL)
    exact = total[0]["scores"] == [scores[n] for n in range(1, 6)] and not await Cells().audit(connection)
    await connection.close()
    assert exact, "the counters are wrong, so their speed says nothing"
    per = 1e6 / len(records)
    result: dict[str, Any] = {
        "events_per_second": len(records) / seconds,
        "cpu_us_per_event": (python + database) * per,
        "python_us": python * per,
        "postgres_us": database * per,
        "seconds_until_counted": seconds,
        "seconds_until_published": published,
        "wal_bytes_per_event": float(wal) / len(records),
        "cells_sent_per_event": sent / len(records),
        "python_stages_us": as_json(shares(samples), python * per),
        "postgres_statements_us": as_json(statements, database * per),
        "records": len(records),
        "counters": counters,
    }
    print(
        f"  {result['events_per_second']:,.0f}/s wall; {result['cpu_us_per_event']:.1f} us CPU an event"
        f" (Python {result['python_us']:.1f}, PostgreSQL {result['postgres_us']:.1f}), publishing included; exact"
    )
    print(table("Python", python * per, shares(samples)))
    print(table("PostgreSQL", database * per, statements))
    print(
        f"  {result['cells_sent_per_event']:.2f} cells sent an event, {result['wal_bytes_per_event']:,.0f} B of"
        f" write-ahead log an event; all published after {published:.1f} s\n"
    )
    return result


def make_records(events: int, seed: int = 42) -> tuple[list[tuple[bytes, bytes]], Counter[int]]:
    """Answers of a week, some repeated and some revised, and how often each score is the last."""
    dice = random.Random(seed)
    records: list[tuple[bytes, bytes]] = []
    last: Counter[int] = Counter()
    start = datetime(2026, 11, 1, tzinfo=UTC)
    for n in range(events):
        response = str(uuid.UUID(int=dice.getrandbits(128)))
        at = start + timedelta(seconds=n * 86_400 * 7 // events)
        score = dice.choices(range(1, 6), (2, 3, 8, 28, 59))[0]
        records.append(_record(dice, response, 1, score, at, n))
        if dice.random() < 0.03:
            records.append(records[-1])
        if dice.random() < 0.04:
            score = dice.randint(1, 5)
            records.append((records[-1][0], _revised(records[-1][1], score)))
        last[score] += 1
    return records, last


def _record(dice: random.Random, response: str, revision: int, score: int, at: datetime, n: int) -> tuple[bytes, bytes]:
    route = int(dice.random() ** 2 * 2000)
    value = {
        "response_id": response,
        "revision": revision,
        "invitation_id": response,
        "score": score,
        "commented": dice.random() < 0.3,
        "contested": False,
        "answered_at": at.isoformat(),
        "recorded_at": at.isoformat(),
        "delivery": {
            "delivery_id": f"D-{n}",
            "carrier": "Nordposten Demo",
            "country": "SE",
            "postcode_prefix": f"{10 + route % 80}",
            "terminal": f"T{route % 60}",
            "route": f"R{route}",
            "driver": f"driver-{route % 900}",
            "service_point": f"SP{int(dice.random() ** 2 * 1500)}",
            "merchant_id": f"m{int(dice.random() ** 3 * 3000)}",
            "method": dice.choice(_METHODS),
            "occurred_at": at.isoformat(),
            "zone": "Europe/Stockholm",
        },
    }
    return response.encode(), orjson.dumps(value)


def _revised(value: bytes, score: int) -> bytes:
    again = orjson.loads(value)
    again["revision"], again["score"] = 2, score
    return orjson.dumps(again)


async def fill(settings: Settings, records: list[tuple[bytes, bytes]], topic: str = RESPONSE_RECORDED) -> None:
    """Put records on the topic of answers, or on another one."""
    producer = make_producer(settings, client="bench")
    await producer.start()
    futures = [await producer.send(topic, value, key=key) for key, value in records]
    await asyncio.gather(*futures)
    await producer.stop()


async def _ends(settings: Settings) -> dict[TopicPartition, int]:
    """Where the partitions of the published cells end: how many records they have been sent."""
    consumer = make_consumer(settings, group=None, client="bench")
    await consumer.start()
    try:
        ends: dict[TopicPartition, int] = await consumer.end_offsets(
            await topic_partitions(settings, SATISFACTION_CELLS)
        )
    finally:
        await consumer.stop()
    return ends
