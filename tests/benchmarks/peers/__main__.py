"""`make bench-peers`: the aggregator and its peers on the same records, broker and truth, in turns."""

import asyncio
import json
import logging
import os
import tempfile
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from schemas.topics import CARDS, RESPONSE_RECORDED
from services.chassis.topic_admin import apply_topics
from services.embedded.kafka import EmbeddedKafka
from services.embedded.postgres import EmbeddedPostgres
from tests.benchmarks.counting import fill, make_records
from tests.benchmarks.machine import describe_machine
from tests.benchmarks.peers import tools
from tests.benchmarks.peers.bench import Bench, Job
from tests.benchmarks.peers.figures import OURS, line, median, table
from tests.benchmarks.peers.picture import picture
from tests.benchmarks.peers.running import Figures, measure
from tests.benchmarks.peers.systems import System, systems
from tests.benchmarks.peers.topics import make_topic
from tests.benchmarks.peers.truth import Cells, WrongCountsError, count
from tests.benchmarks.system import settings_of, variables

_FEW = "bench.answers.few"
"""The topic with the first of all records."""
_PICTURE = Path(__file__).parents[3] / "docs/images/peers.svg"


def main(
    events: Annotated[int, typer.Option(help="Answers to count.")] = 200_000,
    few: Annotated[int, typer.Option(help="So many of the first records for Quix and Faust.")] = 10_000,
    rounds: Annotated[int, typer.Option(help="Each system runs so often, in turns.")] = 2,
    only: Annotated[str, typer.Option(help="Keys of systems, separated by commas; empty: all.")] = "",
    output: Annotated[Path | None, typer.Option(help="Write the figures of each run as JSON too.")] = None,
    draw: Annotated[bool, typer.Option(help="Draw docs/images/peers.svg again.")] = False,
) -> None:
    """Compare the aggregator with its peers; a system that counts wrong is refused, and gets no figures."""
    # A topic's first records find out who leads it.
    logging.getLogger("aiokafka").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="kvittera-bench-") as folder:
        Path(folder).chmod(0o755)
        wanted = _wanted(only, Path(folder))
        postgres = EmbeddedPostgres(
            Path(folder) / "postgres", settings={"shared_buffers": "1GB", "max_wal_size": "8GB"}
        )
        kafka = EmbeddedKafka(Path(folder) / "kafka", heap="1g", tuned_for_start=False)
        postgres.start()
        kafka.start()
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                bench = Bench(postgres, kafka, settings_of(variables(postgres, kafka)))
                found = runner.run(_compare(bench, wanted, Path(folder), events, few, rounds, output))
        finally:
            kafka.stop()
            postgres.stop()
    titles = {system.key: system.title for system in wanted}
    print(f"\n{table(found, titles)}\n")
    for system in wanted:
        print(f"- {system.title}: {system.promises}.")
    if draw:
        bars = [(titles[key], median(runs).cpu_us) for key, runs in found.items() if runs]
        loads = [run.load for runs in found.values() for run in runs]
        note = (
            f"{events:,} answers, 30 counters each, {os.cpu_count()} cores at load {min(loads):.0f} to {max(loads):.0f}"
        )
        _PICTURE.write_text(picture(bars, titles[OURS], note))


def _wanted(only: str, folder: Path) -> list[System]:
    try:
        jar = tools.build_kafka_streams(folder) if not only or "streams" in only else None
    except tools.CannotRunError as error:
        print(f"Kafka Streams cannot be run here: {error}")
        jar = None
    every = systems(jar)
    keys = [key for key in only.split(",") if key]
    if unknown := set(keys) - {system.key for system in every}:
        raise typer.BadParameter(f"no such system: {', '.join(sorted(unknown))}")
    return [system for system in every if not keys or system.key in keys]


async def _compare(
    bench: Bench, wanted: list[System], folder: Path, events: int, few: int, rounds: int, output: Path | None
) -> dict[str, list[Figures]]:
    records, _ = make_records(events)
    await apply_topics(bench.settings, tuple(CARDS.values()))
    await make_topic(bench.settings, _FEW)
    await fill(bench.settings, records)
    await fill(bench.settings, records[:few], topic=_FEW)
    sources = {False: (RESPONSE_RECORDED, records), True: (_FEW, records[:few])}
    truths = {of_few: count(value for _, value in part) for of_few, (_, part) in sources.items()}
    size = sum(len(value) for _, value in records) / len(records)
    print(f"machine: {describe_machine()}")
    print(
        f"{len(records):,} records of {size:.0f} B in 4 partitions, 30 counters each, {len(truths[False]):,} cells;"
        f" peers commit every second, all publish at most every {bench.publish_ms / 1000:.0f} s while behind\n",
        flush=True,
    )
    found: dict[str, list[Figures]] = {system.key: [] for system in wanted}
    for number in range(rounds):
        for system in wanted:
            topic, part = sources[system.few]
            run = await _run(bench, system, folder, number, topic, len(part), truths[system.few])
            if run is not None:
                found[system.key].append(run)
                if output is not None:
                    runs = [run.as_json() for of in found.values() for run in of]
                    output.write_text(json.dumps({"cores": os.cpu_count(), "runs": runs}, indent=1) + "\n")
    return found


async def _run(
    bench: Bench, system: System, folder: Path, number: int, topic: str, records: int, truth: Cells
) -> Figures | None:
    job = Job(f"{system.key}-{number}", folder / f"{system.key}-{number}", topic)
    job.folder.mkdir()
    try:
        run = await measure(bench, system, job, records, truth)
    except tools.CannotRunError as error:
        print(f"  {system.title} cannot be run here: {error}", flush=True)
    except WrongCountsError as error:
        print(f"  REFUSED {error}", flush=True)
    else:
        print(line(run, system.title), flush=True)
        return run
    finally:
        if system.in_postgres:
            await bench.drop_database(job.name)
    return None


if __name__ == "__main__":
    typer.run(main)
