"""`make simulate-scale`: the busiest hour of a year on this machine, beside what `kvittera capacity` says of it."""

import asyncio
import json
import tempfile
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from services.capacity.demand import Demand
from services.capacity.figures import Capacity
from services.capacity.measured import measured
from services.embedded.kafka import EmbeddedKafka
from services.embedded.postgres import EmbeddedPostgres
from tests.benchmarks.machine import describe_machine
from tests.benchmarks.peak_hour.comparing import lines
from tests.benchmarks.peak_hour.place import Place
from tests.benchmarks.peak_hour.provider import provider
from tests.benchmarks.peak_hour.running import Ran, run
from tests.benchmarks.peak_hour.shares import found_in
from tests.benchmarks.peak_hour.year import FIVE_DAYS, SIX_DAYS, years

_SHAPES = {"six days a week": SIX_DAYS, "five days a week": FIVE_DAYS}


def main(
    deliveries: Annotated[float, typer.Option(help="Deliveries a year, whose busiest hour is run.")] = 1e9,
    minutes: Annotated[float, typer.Option(help="For so long.")] = 3,
    warm: Annotated[float, typer.Option(help="Seconds before that, at the same rate.")] = 30,
    output: Annotated[Path | None, typer.Option(help="Write what was measured as JSON too.")] = None,
) -> None:
    """Run the busiest hour of a year for a few minutes, and print each figure of the arithmetic beside what it took."""
    capacity = Capacity(Demand(deliveries), measured())
    for name, shape in _SHAPES.items():
        found = years(deliveries, shape)
        day, hour = ([getattr(peak, what) for peak in found] for what in ("day", "hour"))
        print(
            f"100 simulated years, {name}: busiest day {min(day):.2f} to {max(day):.2f} mean days,"
            f" {100 * min(hour):.1f} to {100 * max(hour):.1f} % of it in its busiest hour,"
            f" {max(peak.a_second for peak in found):,.0f} a second"
        )
    rate = capacity.deliveries_a_second
    print(f"machine: {describe_machine()}; {rate:.1f} deliveries a second for {minutes:g} minutes", flush=True)
    ran = _run(rate, warm, minutes * 60)
    print(json.dumps(found_in(ran).inputs()))
    if output is not None:
        output.write_text(json.dumps(ran.as_dict(), indent=1) + "\n", encoding="utf-8")
    for line in lines(ran, capacity.measured):
        print(line)


def _run(rate: float, warm: float, seconds: float) -> Ran:
    with tempfile.TemporaryDirectory(prefix="kvittera-peak-hour-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        postgres = EmbeddedPostgres(folder / "postgres", settings={"shared_buffers": "1GB", "max_wal_size": "4GB"})
        kafka = EmbeddedKafka(folder / "kafka", heap="1g", tuned_for_start=False)
        postgres.start()
        kafka.start()
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                return runner.run(_with_provider(postgres, kafka, folder, rate, warm, seconds))
        finally:
            kafka.stop()
            postgres.stop()


async def _with_provider(
    postgres: EmbeddedPostgres, kafka: EmbeddedKafka, folder: Path, rate: float, warm: float, seconds: float
) -> Ran:
    async with provider() as taken:
        return await run(Place(postgres, kafka, folder, taken.port), taken, rate, warm, seconds)


if __name__ == "__main__":
    typer.run(main)
