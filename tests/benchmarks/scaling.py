"""`make bench-scaling`: what 1, 2 and 4 processes with as many partitions take for an event, aggregators and notifiers.

Each round has servers of its own. The topic is filled while the processes stand still, so neither that nor their start
is in a figure. What is counted and sent is checked, so a round that loses or doubles does not end.
"""

import asyncio
import json
import os
import tempfile
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop

from schemas.topics import RESPONSE_RECORDED
from services.chassis.postgres import OwnConnection, connect
from services.demo.supervisor import SERVICES
from services.embedded.kafka import EmbeddedKafka
from services.embedded.ports import free_port
from services.embedded.postgres import EmbeddedPostgres
from tests.benchmarks.counting import fill, make_records
from tests.benchmarks.crew import crew
from tests.benchmarks.machine import describe_machine, family_cpu_seconds
from tests.benchmarks.sending import Bench, Case, measure_sending
from tests.benchmarks.stages import POSTGRES_SETTINGS
from tests.benchmarks.system import prepare, settings_of, variables

_COUNTED = "SELECT coalesce(sum(next), 0) FROM progress WHERE topic = $1"
_UNPUBLISHED = "SELECT count(*) FROM touched"
_LATENCY = 0.02

Servers = tuple[EmbeddedPostgres, EmbeddedKafka, Path]
Work = Callable[[Servers, int, int, int], Coroutine[Any, Any, dict[str, float]]]


def main(
    events: Annotated[int, typer.Option(help="Answers to count in each round.")] = 60_000,
    deliveries: Annotated[int, typer.Option(help="Deliveries to decide and hand over in each round.")] = 6_000,
    processes: Annotated[str, typer.Option(help="Numbers of processes, each with as many partitions.")] = "1,2,4",
    partitions: Annotated[int, typer.Option(help="Partitions of each topic; 0: as many as processes.")] = 0,
    output: Annotated[Path | None, typer.Option(help="Write the figures as JSON too.")] = None,
) -> None:
    """Measure processor time and wall clock of an event with more and more processes and partitions."""
    print(f"machine: {describe_machine()}")
    result: dict[str, Any] = {"machine": describe_machine()}
    for n in (int(text) for text in processes.split(",")):
        parts = partitions or n
        found: dict[str, Any] = {"load": round(os.getloadavg()[0], 1)}
        found["counting"] = _round(n, parts, _count, events)
        found["sending"] = _round(n, parts, _send, deliveries)
        result[str(n)] = found
        print(f"{n} processes, {parts} partitions: {found}", flush=True)
    if output is not None:
        output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _round(n: int, partitions: int, work: Work, amount: int) -> dict[str, float]:
    """Servers of its own, then the work."""
    with tempfile.TemporaryDirectory(prefix="kvittera-scaling-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        wanted = {"shared_buffers": "512MB", "max_wal_size": "4GB", **POSTGRES_SETTINGS}
        postgres = EmbeddedPostgres(folder / "postgres", settings=wanted)
        kafka = EmbeddedKafka(folder / "kafka", heap="1g", tuned_for_start=False)
        try:
            postgres.start()
            kafka.start()
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                return runner.run(work((postgres, kafka, folder), n, partitions, amount))
        finally:
            kafka.stop()
            postgres.stop()


async def _count(servers: Servers, n: int, partitions: int, events: int) -> dict[str, float]:
    """What an answer takes `n` aggregators that catch up, published cells included."""
    postgres, kafka, folder = servers
    environment = variables(postgres, kafka, KVITTERA_KAFKA_PARTITIONS=str(partitions))
    settings = settings_of(environment)
    await prepare(settings, SERVICES)
    records, _ = make_records(events)
    connection = await connect(settings, "aggregator", command_timeout=300)
    ports = [free_port() for _ in range(n)]
    async with crew(ports, environment, connection, folder / "aggregator", "aggregator") as aggregators:
        aggregators.stand_still()
        await fill(settings, records)
        before = aggregators.cpu_seconds(), family_cpu_seconds(postgres.pid)
        began = time.perf_counter()
        aggregators.go_on()
        await _until_counted(connection, len(records))
        seconds = time.perf_counter() - began
        python, database = aggregators.cpu_seconds() - before[0], family_cpu_seconds(postgres.pid) - before[1]
    await connection.close()
    per = 1e6 / len(records)
    return {
        "per_second": round(len(records) / seconds),
        "python_us": round(python * per, 1),
        "postgres_us": round(database * per, 1),
    }


async def _send(servers: Servers, n: int, partitions: int, deliveries: int) -> dict[str, float]:
    """What a delivery takes `n` notifiers, from its record to the outcome committed, and all who take part."""
    postgres, kafka, folder = servers
    settings = settings_of(variables(postgres, kafka, KVITTERA_KAFKA_PARTITIONS=str(partitions)))
    await prepare(settings, SERVICES)
    connection = await connect(settings, "notifier", command_timeout=600)
    bench = Bench(postgres, kafka, folder, connection)
    [found] = await measure_sending(bench, deliveries, [Case("http", _LATENCY, n)])
    await connection.close()
    rate, cpu = found["deliveries_per_second"], found["cpu_us"]
    assert isinstance(rate, float)
    assert isinstance(cpu, dict)
    return {"per_second": round(rate), **{f"{who.lower()}_us": us for who, us in cpu.items()}}


async def _until_counted(connection: OwnConnection, records: int) -> None:
    while await connection.fetchval(_COUNTED, RESPONSE_RECORDED) < records:
        await asyncio.sleep(0.05)
    while await connection.fetchval(_UNPUBLISHED):
        await asyncio.sleep(0.05)


if __name__ == "__main__":
    typer.run(main)
