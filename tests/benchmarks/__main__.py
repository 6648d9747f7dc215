"""`make bench`: what the two hot paths do on this machine, next to a yardstick measured in the same run."""

import asyncio
import json
import tempfile
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from services.embedded.kafka import EmbeddedKafka
from services.embedded.postgres import EmbeddedPostgres
from tests.benchmarks.counting import measure_counting
from tests.benchmarks.machine import describe_machine
from tests.benchmarks.posts import measure_posts


def main(
    seconds: Annotated[float, typer.Option(help="Length of each round of posting.")] = 5,
    rounds: Annotated[int, typer.Option(help="Rounds of posting, each beside one of pgbench.")] = 3,
    events: Annotated[int, typer.Option(help="Events to count.")] = 200_000,
    output: Annotated[Path | None, typer.Option(help="Write the figures as JSON too.")] = None,
) -> None:
    """Measure durable answers per second against pgbench, and counted events per second with CPU per event."""
    with tempfile.TemporaryDirectory(prefix="kvittera-bench-") as folder:
        Path(folder).chmod(0o755)
        postgres = EmbeddedPostgres(
            Path(folder) / "postgres", settings={"shared_buffers": "1GB", "max_wal_size": "8GB"}
        )
        kafka = EmbeddedKafka(Path(folder) / "kafka", heap="1g", tuned_for_start=False)
        postgres.start()
        kafka.start()
        try:
            result = asyncio.Runner(loop_factory=uvloop.new_event_loop).run(
                _measure(postgres, kafka, Path(folder), seconds, rounds, events)
            )
        finally:
            kafka.stop()
            postgres.stop()
    if output is not None:
        output.write_text(json.dumps(result, indent=1) + "\n")


async def _measure(
    postgres: EmbeddedPostgres, kafka: EmbeddedKafka, folder: Path, seconds: float, rounds: int, events: int
) -> dict[str, object]:
    machine = describe_machine()
    print(f"machine: {machine}\n")
    # Counting first: it wants the topic to hold nothing but its own records.
    counting = await measure_counting(postgres, kafka, folder, events)
    posts = await measure_posts(postgres, kafka, folder, seconds, rounds)
    return {"machine": machine, "posts": posts, "counting": counting}


if __name__ == "__main__":
    typer.run(main)
