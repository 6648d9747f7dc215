"""`kvittera status`: how does everything stand now?"""

import asyncio
import json
import time
from collections.abc import Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import RenderableType

    from services.chassis.settings import Settings
    from services.status import Status

_SLOW = 10.0
_OLD_OUTBOX = 10.0


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Operation")(status)


def status(
    once: Annotated[bool, typer.Option("--once", help="Look once and end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Look once and print it as JSON.")] = False,
    every: Annotated[float, typer.Option(help="Seconds between looks.", min=0.5, max=86_400)] = 2.0,
) -> None:
    """Show deliveries, requests, what waits in each place, cases and dead letters, again and again until Ctrl-C.

    Reads PostgreSQL and Kafka, changes nothing, and says what it cannot reach. With --once or --json it exits 1
    when something cannot be reached. What is wrong with an installation is for `kvittera doctor`.
    """
    from services.embedded.local import reachable
    from services.status import look

    with reachable(kafka=True, postgres=True) as settings:
        if not (once or as_json):
            _follow(settings, every)
            return
        found = asyncio.run(look(settings))
    if as_json:
        print(json.dumps(found.as_dict(), ensure_ascii=False))
    else:
        from rich.console import Console

        Console().print(render(found))
    if found.away:
        raise typer.Exit(1)


def _follow(settings: "Settings", every: float) -> None:
    from rich.console import Console
    from rich.live import Live

    from services.status import look

    console = Console()
    live = Live(console=console, auto_refresh=False, screen=False)
    # Where there is no terminal nothing can be drawn over, and each look is printed below the one before.
    with live if console.is_terminal else nullcontext():
        try:
            while True:
                found = render(asyncio.run(look(settings)))
                if console.is_terminal:
                    live.update(found, refresh=True)
                else:
                    console.print(found)
                time.sleep(every)
        except KeyboardInterrupt:
            return


def render(found: "Status") -> "RenderableType":
    """The look as a table for people; what needs a person stands out."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, title=f"{found.at:%Y-%m-%d %H:%M:%S} UTC", title_justify="left")
    table.add_column("", style="bold")
    table.add_column("", overflow="fold")
    for name, text in rows(found):
        table.add_row(name, text)
    return table


def rows(found: "Status") -> list[tuple[str, str]]:
    """Name and text of each line, in rich's markup."""
    told = [("cannot look at", f"[red]{sentence}[/red]") for sentence in found.away]
    stores = found.stores
    if "notifier" in stores:
        told += _sending(stores["notifier"].told)
    if found.behind_seconds is not None:
        behind = f"{found.behind_seconds:.1f} s behind" if found.behind_seconds else "every saved answer is counted"
        told.append(("counters", _marked(behind, bad=found.behind_seconds > _SLOW)))
    if "survey" in stores:
        overdue = stores["survey"].told["cases_overdue"]
        cases = _numbers(stores["survey"].told["cases"]) or "none"
        told.append(("open cases", cases + _marked(f", {overdue} overdue" * bool(overdue), bad=True)))
    for service, store in stores.items():
        runs = f"{store.connections} connections" if store.connections else "[red]does not run[/red]"
        old = f"{store.outbox_waiting} rows wait, the oldest {store.outbox_seconds:.1f} s"
        outbox = _marked(old, bad=store.outbox_seconds > _OLD_OUTBOX) if store.outbox_waiting else "outbox empty"
        told.append((service, f"{runs}; {outbox}"))
    if found.broker is not None:
        told += [(f"lag of the {s}", text) for s, text in _lags(found).items()]
        letters = ", ".join(f"{n} in {topic}" for topic, n in found.dead_letters.items())
        told.append(("dead letters", _marked(letters, bad=True) if letters else "none"))
    return told


def _sending(told: Mapping[str, Any]) -> list[tuple[str, str]]:
    gap = told["deliveries_gap"]
    doubts = f"{told['in_doubt']} sends, the oldest {told['oldest_doubt_seconds']:.0f} s" * bool(told["in_doubt"])
    return [
        ("deliveries", _numbers(told["deliveries"]) + _marked(f", off by {gap}" * bool(gap), bad=True)),
        ("requests", _numbers(told["invitations"]) or "none"),
        ("waiting", f"{told['due']} due, {told['later']} later (held requests and reminders)"),
        ("in doubt", _marked(doubts, bad=True) if doubts else "none"),
        ("sending", _marked(told["sending"], bad=told["sending"] != "on")),
    ]


def _lags(found: "Status") -> dict[str, str]:
    """Records that wait by service, each partition that has some; one line a service."""
    waiting: dict[str, list[str]] = {service: [] for service, store in found.stores.items() if store.positions}
    for lag in found.lags:
        if lag.records:
            waiting[lag.service].append(f"{lag.topic}/{lag.partition}: {lag.records}")
    return {service: ", ".join(parts) or "none" for service, parts in waiting.items()}


def _numbers(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {what}" for what, n in counts.items())


def _marked(text: str, *, bad: bool) -> str:
    return f"[yellow]{text}[/yellow]" if bad and text else text
