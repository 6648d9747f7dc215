"""`kvittera load`: how quick is a running system at a given rate?"""

import asyncio
import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from services.chassis.settings import Settings
    from services.demo.load import Load
    from services.demo.load_report import LoadReport


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Operation")(load)


def load(
    rate: Annotated[float, typer.Option(help="Deliveries a second.", min=0.1, max=100_000)] = 20,
    seconds: Annotated[float, typer.Option(help="How long deliveries are published.", min=1, max=604_800)] = 30,
    settle: Annotated[float, typer.Option(help="Seconds that the last ones get to arrive.", min=1, max=86_400)] = 30,
    report: Annotated[Path | None, typer.Option(help="Write what was measured, as JSON.")] = None,
    survey: Annotated[str, typer.Option(help="Where recipients open their pages. [default: KVITTERA_PUBLIC_URL]")] = "",
    not_loopback: Annotated[
        bool, typer.Option("--not-loopback", help="The servers are elsewhere, and may be filled with made-up data.")
    ] = False,
) -> None:
    """Publish made-up deliveries at a rate, let simulated recipients answer, and print how long each step took.

    Drives a system that runs already, such as `kvittera demo` in this folder or services with the same settings.
    Measures from handing a delivery to Kafka until its message is there, and from an acknowledged answer until the
    counters hold it. What it publishes stays in the counters. Exits 1 when something does not arrive. For example:

    kvittera load --rate 50 --seconds 60 --report load.json
    """
    from services.chassis.failures import MustStop
    from services.demo.strangers import refuse_channel, refuse_strangers
    from services.embedded.local import reachable

    if report is not None and not report.parent.is_dir():
        raise MustStop(f"the report cannot be written: there is no folder {report.parent}")
    with reachable(kafka=True, postgres=True) as settings:
        refuse_channel(settings)
        if not not_loopback:
            refuse_strangers(settings, [survey or settings.public_url])
        found = asyncio.run(_load(settings, rate, seconds, settle, survey))
    for line in found.lines():
        print(line)
    if report is not None:
        report.write_text(json.dumps(found.as_dict(), indent=1) + "\n", encoding="utf-8")
    if not found.complete:
        raise typer.Exit(1)


async def _load(settings: "Settings", rate: float, seconds: float, settle: float, survey: str) -> "LoadReport":
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from services.demo.inbox import ViewerTable
    from services.demo.load import assemble, run
    from services.demo.load_report import LoadReport

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    driven = assemble(
        settings,
        rate,
        seconds,
        inbox=ViewerTable(settings),
        survey=(survey or settings.public_url).rstrip("/"),
        settle_seconds=settle,
    )
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("publishing", total=driven.total)

        def show(now: "Load") -> None:
            words = f"{now.timings.messages} messages, {len(now.timings.answered)} answers"
            bar.update(task, completed=now.upstream.published, description=words)

        await run(driven, stop, show)
    return LoadReport.of(driven)
