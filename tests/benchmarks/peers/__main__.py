"""`make bench-peers`: the aggregator and its peers on the same records, broker and truth, in turns."""

import asyncio
import logging
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from services.embedded.kafka import EmbeddedKafka
from services.embedded.postgres import EmbeddedPostgres
from tests.benchmarks.peers import tools
from tests.benchmarks.peers.bench import Bench
from tests.benchmarks.peers.comparing import Comparison
from tests.benchmarks.peers.figures import OURS, described, median, read_figures, table
from tests.benchmarks.peers.picture import picture
from tests.benchmarks.peers.running import Figures
from tests.benchmarks.peers.systems import System, systems
from tests.benchmarks.system import settings_of, variables

PICTURE = Path(__file__).parents[3] / "docs/images/peers.svg"


def main(
    events: Annotated[int, typer.Option(help="Answers to count.")] = 200_000,
    few: Annotated[int, typer.Option(help="So many of the first records for Quix and Faust.")] = 10_000,
    rounds: Annotated[int, typer.Option(help="Each system runs so often, in turns.")] = 2,
    only: Annotated[str, typer.Option(help="Keys of systems, separated by commas; empty: all.")] = "",
    kills: Annotated[
        int, typer.Option(help="Kill each system so often while it counts, and check it all the same.")
    ] = 0,
    output: Annotated[Path | None, typer.Option(help="Write the figures of each run as JSON too.")] = None,
    kept: Annotated[Path | None, typer.Option("--from", help="Run nothing: tell of figures written before.")] = None,
    draw: Annotated[bool, typer.Option(help="Draw docs/images/peers.svg again.")] = False,
) -> None:
    """Compare the aggregator with its peers; a system that counts wrong is refused, and gets no figures."""
    if kept is not None:
        runs = read_figures(kept)
        _tell([s for s in systems(Path()) if s.key in runs], runs, draw=draw)
        return
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
                comparison = runner.run(Comparison.prepare(bench, wanted, Path(folder), events, few))
                found = runner.run(comparison.measure(rounds, output))
                if kills:
                    runner.run(comparison.kill(kills))
        finally:
            kafka.stop()
            postgres.stop()
    _tell(wanted, found, draw=draw)


def _tell(wanted: Sequence[System], found: Mapping[str, Sequence[Figures]], *, draw: bool) -> None:
    titles = {system.key: system.title for system in wanted}
    print(f"\n{table(found, titles)}\n")
    for system in wanted:
        print(f"- {system.title}: {system.promises}.")
    if draw:
        bars = [(titles[key], median(runs).cpu_us) for key, runs in found.items() if runs]
        PICTURE.write_text(picture(bars, titles[OURS], described(found)))


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


if __name__ == "__main__":
    typer.run(main)
