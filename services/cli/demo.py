"""`kvittera demo`: everything on this machine."""

import asyncio
import signal
from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from services.cli.demo_progress import Shown
    from services.demo.place import Options
    from services.demo.report import Report
    from services.demo.runtime import Demo


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Start here")(demo)


def demo(
    rate: Annotated[
        float | None,
        typer.Option(
            help="Deliveries a second; 0 is as fast as possible. [default: 20, headless 0]", min=0, max=100_000
        ),
    ] = None,
    deliveries: Annotated[
        int | None, typer.Option(help="Stop publishing after so many.", min=1, max=1_000_000_000)
    ] = None,
    until_done: Annotated[
        bool, typer.Option("--until-done", help="End when all is answered and counted, and prove it.")
    ] = False,
    headless: Annotated[
        bool, typer.Option("--headless", help="No page; progress as text. Runs until stopped, or with --until-done.")
    ] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget what earlier runs left in .kvittera/.")] = False,
    port: Annotated[int, typer.Option(help="Port of the page.", min=1, max=65535)] = 8600,
    report: Annotated[Path | None, typer.Option(help="Write what the run proved, as JSON.")] = None,
    replay: Annotated[Path | None, typer.Option(help="Publish the deliveries of a CSV file.", exists=True)] = None,
    mapping: Annotated[
        Path | None, typer.Option(help="How the CSV's columns become deliveries (TOML).", exists=True)
    ] = None,
    seed: Annotated[
        int, typer.Option(help="The same seed makes the same deliveries and people in an empty folder.")
    ] = 1,
    attach: Annotated[
        list[str] | None,
        typer.Option(
            help="SERVICE=URL of a service that runs elsewhere; give it for all three.", metavar="SERVICE=URL"
        ),
    ] = None,
    not_loopback: Annotated[
        bool, typer.Option("--not-loopback", help="Given servers are elsewhere, and may be filled with made-up data.")
    ] = False,
    kill: Annotated[int, typer.Option(help="Kill -9 each service so many times on the way.", min=0, max=1000)] = 0,
) -> None:
    """Run everything on this machine: Kafka, PostgreSQL, the three services, simulated upstream and recipients.

    Opens one page that shows deliveries turning into requests, smileys and live counters. Ctrl-C ends it; the
    data stays in .kvittera/ for the next time. Nobody outside is reached.

    For example:

    kvittera demo --rate 50

    kvittera demo --headless --fresh --deliveries 5000 --until-done --report r.json

    kvittera demo --headless --fresh --until-done --replay deploy/demo/sample_deliveries.csv

    With KVITTERA_KAFKA_BOOTSTRAP and KVITTERA_POSTGRES_DSN set it uses those servers instead of its own, and with
    --attach also services that run elsewhere, as docker-compose.yml does. Give it empty ones: what it publishes stays
    in the counters, so it refuses servers elsewhere without --not-loopback, and every channel but the outbox viewer.
    """
    from services.chassis.failures import MustStop
    from services.demo.place import Options

    urls = dict(given.partition("=")[::2] for given in attach or ())
    options = Options(
        rate, deliveries, until_done, headless, fresh, port, report, replay, mapping, seed, kill, urls, not_loopback
    )
    result = _run(options)
    if result is None:
        if until_done:
            raise MustStop("stopped before all was answered and counted: nothing is proved")
        return
    if report is not None:
        result.write(report)
    for line in _summary(result):
        print(line)
    if not result.clean:
        raise typer.Exit(1)


def _run(options: "Options") -> "Report | None":
    from services.chassis.failures import MustStop
    from services.cli import demo_progress
    from services.demo import place, runtime
    from services.embedded.errors import EmbeddedError
    from services.embedded.local import FOLDER

    runtime.check(options)
    try:
        with closing(demo_progress.shown()) as shown, place.servers(options, shown.fetching) as where:
            demo = runtime.assemble(options, where, FOLDER / "logs")
            return asyncio.run(_main(demo, shown))
    except EmbeddedError as error:
        raise MustStop(str(error)) from None


async def _main(demo: "Demo", shown: "Shown") -> "Report | None":
    from services.chassis.failures import MustStop
    from services.demo import runtime
    from services.demo.server import page_server

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        async with nullcontext() if demo.options.headless else page_server(demo, stop, shown.say):
            return await runtime.run(demo, stop, shown.following)
    except* MustStop as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None


def _summary(r: "Report") -> list[str]:
    from services.notifier.explaining import NAMES

    suppressed = [f"  {n} {reason}: {NAMES.get(reason, reason)}" for reason, n in r.suppressed.items()]
    unasked = sum(r.suppressed.values())
    return [
        f"{r.delivered} delivered = {r.asked} asked + {unasked} not asked + {r.pending} waiting + {r.failed} failed",
        *(["not asked:", *suppressed] if suppressed else ["not asked: none"]),
        f"{r.opened} opened, {r.answered} answered, {r.counted} counted in {r.seconds:.1f} s",
        f"{r.lost} lost, {r.double} double, {r.differing_cells} cells off",
    ]
