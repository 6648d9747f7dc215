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
from tests.benchmarks.capped import measure_capped
from tests.benchmarks.counting import measure_counting
from tests.benchmarks.deciding import measure_deciding
from tests.benchmarks.machine import describe_machine, flush_microseconds
from tests.benchmarks.posts import measure_posts
from tests.benchmarks.sending import cases, measure_replay, measure_sending, open_bench
from tests.benchmarks.stages import POSTGRES_SETTINGS
from tests.benchmarks.steady import measure_steady


def main(
    seconds: Annotated[float, typer.Option(help="Length of each round of posting.")] = 3,
    rounds: Annotated[int, typer.Option(help="Rounds of posting, each beside one of pgbench.")] = 5,
    clients: Annotated[str, typer.Option(help="Numbers of clients that post.")] = "16,64,256",
    minutes: Annotated[float, typer.Option(help="How long memory is watched at 200 answers a second.")] = 0.5,
    events: Annotated[int, typer.Option(help="Events to count; 0 leaves counting out.")] = 200_000,
    counting_only: Annotated[bool, typer.Option(help="Leave out the posting of answers.")] = False,
    sending: Annotated[int, typer.Option(help="Deliveries to send to each gateway; 0: none.")] = 10_000,
    notifiers: Annotated[str, typer.Option(help="Numbers of notifiers that send them.")] = "1,2",
    replayed: Annotated[int, typer.Option(help="Deliveries of last month to replay; 0: none.")] = 20_000,
    planned: Annotated[int, typer.Option(help="Requests due in the same minute, under a cap; 0: none.")] = 20_000,
    capped_seconds: Annotated[float, typer.Option(help="How long they are watched.")] = 75,
    sending_only: Annotated[bool, typer.Option(help="Leave out everything but sending.")] = False,
    output: Annotated[Path | None, typer.Option(help="Write the figures as JSON too.")] = None,
) -> None:
    """Measure durable answers per second against pgbench, and counted events per second with CPU per event."""
    numbers = [int(text) for text in clients.split(",")]
    with tempfile.TemporaryDirectory(prefix="kvittera-bench-") as folder:
        Path(folder).chmod(0o755)
        postgres = EmbeddedPostgres(
            Path(folder) / "postgres",
            settings={"shared_buffers": "1GB", "max_wal_size": "8GB", "max_connections": "300", **POSTGRES_SETTINGS},
        )
        kafka = EmbeddedKafka(Path(folder) / "kafka", heap="1g", tuned_for_start=False)
        postgres.start()
        kafka.start()
        runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        result: dict[str, object] = {}
        try:
            if not sending_only:
                kept = [] if counting_only else numbers
                result = runner.run(_measure(postgres, kafka, Path(folder), seconds, rounds, kept, minutes, events))
            if (sending or replayed or planned) and not counting_only:
                crews = [int(text) for text in notifiers.split(",")]
                result["sending"] = runner.run(
                    _measure_sending(postgres, kafka, Path(folder), sending, crews, replayed, planned, capped_seconds)
                )
        finally:
            kafka.stop()
            postgres.stop()
    if output is not None:
        output.write_text(json.dumps(result, indent=1) + "\n")


async def _measure(
    postgres: EmbeddedPostgres,
    kafka: EmbeddedKafka,
    folder: Path,
    seconds: float,
    rounds: int,
    clients: list[int],
    minutes: float,
    events: int,
) -> dict[str, object]:
    result: dict[str, object] = {
        "machine": describe_machine(),
        "flush_us": flush_microseconds(folder),
        "flush_p99_us": flush_microseconds(folder, share=0.99),
    }
    print(
        f"machine: {result['machine']}; a flush of 8 KiB takes {result['flush_us']:.0f} us,"
        f" p99 {result['flush_p99_us']:.0f} us"
    )
    print("PostgreSQL: fsync, synchronous_commit and full_page_writes are on; every acknowledged answer is checked\n")
    result["deciding"] = measure_deciding()
    if events:
        # Counting first: it wants the topic to hold nothing but its own records.
        result["counting"] = await measure_counting(postgres, kafka, folder, events)
    if not clients:
        return result
    posts = await measure_posts(postgres, kafka, folder, seconds, rounds, clients)
    result["posts"] = posts
    half = posts[str(clients[len(clients) // 2])]["median"]["ours"] / 2
    result["steady"] = await measure_steady(postgres, kafka, folder, half, max(seconds, 3), minutes)
    return result


async def _measure_sending(
    postgres: EmbeddedPostgres,
    kafka: EmbeddedKafka,
    folder: Path,
    deliveries: int,
    notifiers: list[int],
    replayed: int,
    planned: int,
    capped_seconds: float,
) -> dict[str, object]:
    print(f"machine: {describe_machine()}")
    bench = await open_bench(postgres, kafka, folder)
    result: dict[str, object] = {}
    if deliveries:
        result["gateways"] = await measure_sending(bench, deliveries, cases(notifiers))
    if replayed:
        result["replay"] = await measure_replay(bench, replayed)
    if planned:
        result["capped"] = await measure_capped(bench, planned, capped_seconds)
    await bench.connection.close()
    return result


if __name__ == "__main__":
    typer.run(main)
