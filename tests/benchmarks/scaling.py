"""`make bench-scaling`: how much 1, 2 and 4 processes with as many partitions get done, of aggregators and notifiers.

Each round has servers of its own. What is counted is checked, so a round that loses or doubles does not end.
"""

import asyncio
import itertools
import json
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop

from schemas.topics import CARDS, DELIVERY_COMPLETED, RESPONSE_RECORDED
from services.chassis.kafka import make_producer
from services.chassis.postgres import OwnConnection, connect, migrate
from services.chassis.settings import Settings
from services.chassis.topic_admin import apply_topics
from services.demo.people import Town, now
from services.demo.place import POLICIES
from services.demo.upstream import record_of
from services.embedded.kafka import EmbeddedKafka
from services.embedded.postgres import EmbeddedPostgres
from tests.benchmarks.counting import fill, make_records
from tests.benchmarks.machine import describe_machine
from tests.benchmarks.system import running, settings_of, variables

_COUNTED = "SELECT coalesce(sum(next), 0) FROM progress WHERE topic = $1"
_DECIDED = "SELECT count(*) FROM decision"
_ON_THEIR_WAY = "SELECT count(*) FROM invitation WHERE kind = 'ask' AND state NOT IN ('accepted', 'withheld')"

Work = Callable[[Path, dict[str, str], int, int], Coroutine[Any, Any, float]]


def main(
    events: Annotated[int, typer.Option(help="Answers to count in each round.")] = 60_000,
    deliveries: Annotated[int, typer.Option(help="Deliveries to decide and hand over in each round.")] = 6_000,
    processes: Annotated[str, typer.Option(help="Numbers of processes, each with as many partitions.")] = "1,2,4",
    partitions: Annotated[int, typer.Option(help="Partitions of each topic; 0: as many as processes.")] = 0,
    output: Annotated[Path | None, typer.Option(help="Write the figures as JSON too.")] = None,
) -> None:
    """Measure events per second with more and more processes and partitions."""
    print(f"machine: {describe_machine()}")
    result: dict[str, Any] = {"machine": describe_machine()}
    for n in (int(text) for text in processes.split(",")):
        parts = partitions or n
        found = {
            "counted_per_second": round(_round(n, parts, _count, events)),
            "handed_over_per_second": round(_round(n, parts, _send, deliveries)),
        }
        result[str(n)] = found
        print(f"{n} processes, {parts} partitions: {found}", flush=True)
    if output is not None:
        output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _round(n: int, partitions: int, work: Work, amount: int) -> float:
    """Servers of its own, then the work: things a second."""
    with tempfile.TemporaryDirectory(prefix="kvittera-scaling-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        postgres = EmbeddedPostgres(folder / "postgres", settings={"shared_buffers": "512MB", "max_wal_size": "4GB"})
        kafka = EmbeddedKafka(folder / "kafka", heap="1g", tuned_for_start=False)
        try:
            postgres.start()
            kafka.start()
            environment = variables(
                postgres, kafka, KVITTERA_KAFKA_PARTITIONS=str(partitions), KVITTERA_POLICIES_FOLDER=str(POLICIES)
            )
            return asyncio.Runner(loop_factory=uvloop.new_event_loop).run(work(folder, environment, n, amount))
        finally:
            kafka.stop()
            postgres.stop()


async def _prepare(settings: Settings) -> None:
    await apply_topics(settings, tuple(CARDS.values()))
    for service in ("notifier", "survey", "aggregator"):
        connection = await connect(settings, service)
        await migrate(connection, service, f"services.{service}")
        await connection.close()


@asynccontextmanager
async def _processes(service: str, n: int, environment: dict[str, str], folder: Path) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        for i in range(n):
            own = {**environment, "KVITTERA_INSTANCE": f"machine-{i}"}
            await stack.enter_async_context(running(service, own, folder / f"{service}-{i}.log"))
        yield


async def _count(folder: Path, environment: dict[str, str], n: int, events: int) -> float:
    """Answers counted a second by `n` aggregators that catch up."""
    settings = settings_of(environment)
    await _prepare(settings)
    records, _ = make_records(events)
    connection = await connect(settings, "aggregator", command_timeout=300)
    async with _processes("aggregator", n, environment, folder):
        # All have their partitions before there is anything to count.
        await asyncio.sleep(3)
        began = time.perf_counter()
        await fill(settings, records)
        await _until(connection, _COUNTED, len(records), RESPONSE_RECORDED)
        seconds = time.perf_counter() - began
    await connection.close()
    return len(records) / seconds


async def _send(folder: Path, environment: dict[str, str], n: int, deliveries: int) -> float:
    """Deliveries decided and handed to the outbox viewer a second, by `n` notifiers."""
    settings = settings_of(environment)
    await _prepare(settings)
    town = Town(1, settings.brand)
    cases = list(itertools.islice(iter(lambda: town.next_case(now()), None), deliveries))
    connection = await connect(settings, "notifier", command_timeout=300)
    async with _processes("notifier", n, environment, folder):
        await asyncio.sleep(3)
        began = time.perf_counter()
        producer = make_producer(settings, client="bench")
        await producer.start()
        await asyncio.gather(*[await producer.send(DELIVERY_COMPLETED, **record_of(case)) for case in cases])
        await producer.stop()
        await _until(connection, _DECIDED, deliveries)
        while await connection.fetchval(_ON_THEIR_WAY):
            await asyncio.sleep(0.05)
        seconds = time.perf_counter() - began
    await connection.close()
    return deliveries / seconds


async def _until(connection: OwnConnection, question: str, wanted: int, *values: str) -> None:
    while await connection.fetchval(question, *values) < wanted:
        await asyncio.sleep(0.05)


if __name__ == "__main__":
    typer.run(main)
