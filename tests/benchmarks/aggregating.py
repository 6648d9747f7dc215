"""The aggregator beside throughput: how fresh counters are, how a replay grows, how long a restart takes.

`python -m tests.benchmarks.aggregating --rate 500 --seconds 20 --replay 1000000,3000000 --answers 10000000`
"""

import asyncio
import contextlib
import json
import os
import sys
import tempfile
import time
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Annotated, Any

import asyncpg
import typer
import uvloop

from schemas.topics import RESPONSE_RECORDED
from services.chassis.postgres import connect
from services.embedded.kafka import EmbeddedKafka
from services.embedded.postgres import EmbeddedPostgres
from tests.benchmarks.counting import fill, make_records
from tests.benchmarks.invitations import check_kept, invite
from tests.benchmarks.load import open_loop, quantile
from tests.benchmarks.machine import cpu_seconds, describe_machine, family_cpu_seconds, peak_mib
from tests.benchmarks.system import prepare, running, settings_of, variables

_COUNTED = """
SELECT coalesce(s1 + s2 + s3 + s4 + s5, 0)
FROM cell WHERE cell = (SELECT (id::bigint << 32) + 3221225472 FROM unit WHERE cut = 'total')
"""
_READ = "SELECT coalesce(sum(next), 0) FROM progress WHERE topic = $1"
_ANSWERS = """
INSERT INTO answer (response_id, revision, score, commented, contested, series, local_hour, units, minute)
SELECT gen_random_uuid(), 1, 1 + n % 5, false, false, 'machine', 490000 + n % 5000, ARRAY[1, 2 + n % 1000], n % 60
FROM generate_series(1, $1::int) AS n
"""
_CELLS = """
INSERT INTO cell SELECT (2 + n % 1000)::bigint << 32 | n / 1000, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
FROM generate_series(0, $1::int - 1) AS n
"""
_POLL = 0.004
_WARM = 200
_CHUNK = 200_000


async def measure_freshness(
    postgres: EmbeddedPostgres, kafka: EmbeddedKafka, folder: Path, rate: float, seconds: float
) -> dict[str, float]:
    """From the n-th 2xx to the moment when a reader of the counter sees n answers, an open loop, one clock."""
    environment = variables(postgres, kafka, KVITTERA_SURVEY_FOLLOW_UP="false")
    settings = settings_of(environment)
    await prepare(settings)
    survey, aggregator = await connect(settings, "survey"), await connect(settings, "aggregator")
    async with (
        running("survey", environment, folder / "survey.log") as (_, port),
        running("aggregator", environment, folder / "aggregator.log"),
    ):
        warm = await invite(survey, _WARM)
        await check_kept(survey, warm, await open_loop(port, warm.taps(), rate))
        while await _counted(aggregator) < _WARM:
            await asyncio.sleep(0.1)
        invited = await invite(survey, int(rate * seconds))
        seen: list[tuple[float, int]] = []
        watching = asyncio.create_task(_watch(aggregator, _WARM + len(invited.ids), seen))
        replies = await open_loop(port, invited.taps(), rate)
        assert await check_kept(survey, invited, replies) == len(replies), "some were turned away"
        await asyncio.wait_for(watching, 60)
    await survey.close()
    await aggregator.close()
    ages = _ages(sorted(r.at for r in replies), [(at, n - _WARM) for at, n in seen])
    found = {"rate": rate, "answers": float(len(ages)), **{f"p{q}": quantile(ages, q / 100) for q in (50, 90, 99)}}
    print(
        f"fresh: {len(ages):,} answers at {rate:,.0f}/s, from 2xx to the counter: p50 {found['p50'] * 1e3:.0f} ms,"
        f" p90 {found['p90'] * 1e3:.0f} ms, p99 {found['p99'] * 1e3:.0f} ms (looked every {_POLL * 1e3:.0f} ms)"
    )
    return found


async def _watch(connection: asyncpg.Connection, until: int, seen: list[tuple[float, int]]) -> None:
    while not seen or seen[-1][1] < until:
        counted = await _counted(connection)
        seen.append((time.perf_counter(), counted))
        await asyncio.sleep(_POLL)


async def _counted(connection: asyncpg.Connection) -> int:
    return int(await connection.fetchval(_COUNTED) or 0)


def _ages(acknowledged: list[float], seen: list[tuple[float, int]]) -> list[float]:
    """For the n-th acknowledged answer, how long until a look at the counter found at least n."""
    ages, look = [], 0
    for n, at in enumerate(acknowledged, 1):
        while seen[look][1] < n:
            look += 1
        ages.append(max(0.0, seen[look][0] - at))
    return ages


async def measure_replay(
    postgres: EmbeddedPostgres, kafka: EmbeddedKafka, folder: Path, sizes: list[int]
) -> list[dict[str, Any]]:
    """Count so many answers live, then everything again into the shadow; the next size adds to the last.

    The replay is a process of its own, so that its memory is not that of the records' maker.
    """
    environment = variables(postgres, kafka)
    settings = settings_of(environment)
    await prepare(settings)
    connection = await connect(settings, "aggregator", command_timeout=3600)
    found: list[dict[str, Any]] = []
    sent = await connection.fetchval(_READ, RESPONSE_RECORDED)
    for number, size in enumerate(sizes):
        began = sizes[number - 1] if number else 0
        for first in range(began, size, _CHUNK):
            records, _ = make_records(min(_CHUNK, size - first), seed=first)
            await fill(settings, records)
            sent += len(records)
        async with running("aggregator", environment, folder / "aggregator.log"):
            while await connection.fetchval(_READ, RESPONSE_RECORDED) < sent:
                await asyncio.sleep(0.2)
        await connection.execute("ANALYZE")
        found.append(result := await _replayed(postgres, environment))
        assert result["equal"], result["differing"]
        print(
            f"replay: {result['read']:,} records again and {result['cells']:,} cells compared in"
            f" {result['seconds']:.1f} s ({result['seconds'] / result['read'] * 1e6:.1f} us a record; CPU: Python"
            f" {result['python_us']:.1f}, PostgreSQL {result['postgres_us']:.1f}; at most"
            f" {result['peak_mib']:,.0f} MiB); equal",
            flush=True,
        )
    await connection.close()
    return found


async def _replayed(postgres: EmbeddedPostgres, environment: dict[str, str]) -> dict[str, Any]:
    """What `kvittera replay --json` tells, what it cost, and the most memory that it held."""
    database = family_cpu_seconds(postgres.pid)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services", "replay", "--json", env={**os.environ, **environment}, stdout=PIPE
    )
    told, peak, python = asyncio.create_task(process.communicate()), 0.0, 0.0
    while not told.done():
        with contextlib.suppress(OSError, StopIteration, IndexError):  # it has ended
            peak, python = max(peak, peak_mib(process.pid)), max(python, cpu_seconds(process.pid))
        await asyncio.sleep(0.2)
    result: dict[str, Any] = json.loads((await told)[0])
    per = 1e6 / result["read"]
    database = family_cpu_seconds(postgres.pid) - database
    return {**result, "peak_mib": peak, "python_us": python * per, "postgres_us": database * per}


async def measure_restart(
    postgres: EmbeddedPostgres, kafka: EmbeddedKafka, folder: Path, answers: int, cells: int
) -> dict[str, float]:
    """From the start of the process to the first new answer in the counter, with full tables."""
    environment = variables(postgres, kafka)
    settings = settings_of(environment)
    await prepare(settings)
    connection = await connect(settings, "aggregator", command_timeout=3600)
    async with running("aggregator", environment, folder / "aggregator.log"):
        pass  # the first start takes the cuts and finds its place
    await connection.execute(
        "INSERT INTO unit (cut, value) SELECT 'route', 'r' || n FROM generate_series(1, 1001) AS n"
    )
    await connection.execute(_ANSWERS, answers)
    await connection.execute(_CELLS + " ON CONFLICT DO NOTHING", cells)
    await connection.execute("ANALYZE")
    before = await connection.fetchval(_READ, RESPONSE_RECORDED)
    [record], _ = make_records(1, seed=10_007)
    await fill(settings, [record])
    began = time.perf_counter()
    async with running("aggregator", environment, folder / "aggregator.log"):
        while await connection.fetchval(_READ, RESPONSE_RECORDED) <= before:
            await asyncio.sleep(0.02)
        seconds = time.perf_counter() - began
    await connection.close()
    print(f"restart: counting again after {seconds:.1f} s with {answers:,} answers and {cells:,} cells in the tables")
    return {"answers": answers, "cells": cells, "seconds": seconds}


def main(
    rate: Annotated[float, typer.Option(help="Answers a second while freshness is measured; 0: not.")] = 500,
    seconds: Annotated[float, typer.Option(help="For so long.")] = 10,
    replay_sizes: Annotated[str, typer.Option("--replay", help="Answers to replay, rising.")] = "20000,60000",
    answers: Annotated[int, typer.Option(help="Answers in the tables at the restart; 0: no restart.")] = 100_000,
    cells: Annotated[int, typer.Option(help="Cells in the tables at the restart.")] = 50_000,
) -> None:
    """Measure freshness, replay and restart, each on servers of its own."""
    print(f"machine: {describe_machine()}")
    sizes = [int(text) for text in replay_sizes.split(",") if text]
    with tempfile.TemporaryDirectory(prefix="kvittera-bench-") as folder:
        Path(folder).chmod(0o755)
        postgres = EmbeddedPostgres(
            Path(folder) / "postgres", settings={"shared_buffers": "1GB", "max_wal_size": "8GB"}
        )
        kafka = EmbeddedKafka(Path(folder) / "kafka", heap="1g", tuned_for_start=False)
        postgres.start()
        kafka.start()
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                if rate:
                    runner.run(measure_freshness(postgres, kafka, Path(folder), rate, seconds))
                if sizes:
                    runner.run(measure_replay(postgres, kafka, Path(folder), sizes))
                if answers:
                    runner.run(measure_restart(postgres, kafka, Path(folder), answers, cells))
        finally:
            kafka.stop()
            postgres.stop()


if __name__ == "__main__":
    typer.run(main)
