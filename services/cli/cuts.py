"""`kvittera cuts list | build | switch`: change what is counted, without a stop."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

if TYPE_CHECKING:
    from services.aggregator.counting.stored_cuts import FileVersions, StoredCut
    from services.aggregator.history.cut_changes import CutChanges
    from services.chassis.settings import Settings

T = TypeVar("T")


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="What is counted, and how to change it without a stop.")
    group.command("list")(list_cuts)
    group.command()(build)
    group.command()(switch)
    app.add_typer(group, name="cuts", rich_help_panel="Results")


def list_cuts() -> None:
    """Show every cut that is counted: its windows, since when, and whether it is being built or about to go.

    The last line tells the version of the file of cuts that is counted.
    """
    from services.embedded.local import reachable

    with reachable(postgres=True) as settings:
        stored, file = asyncio.run(_changing(settings, _stored))
    for s in stored:
        then = f" (then {', '.join(s.after.windows)})" if s.after.windows != s.cut.windows else ""
        print(f"{s.cut.name:24} {s.state:9} since {s.since:%Y-%m-%d %H:%M}  {', '.join(s.cut.windows)}{then}")
    told = str(file.counted) if file.counted else "none"
    print(f"version of the file: {told}" + (f", {file.planned} after the next switch" if file.planned else ""))


def build(
    file: Annotated[
        Path | None,
        typer.Option(
            help="The new file of cuts, of a higher version; otherwise KVITTERA_CUTS_FILE, or the built-in one."
        ),
    ] = None,
    accept_missing: Annotated[
        bool, typer.Option(help="Also when the topics do not hold everything that was counted any more.")
    ] = False,
) -> None:
    """Count by new cuts beside the running ones, and place everything counted before in them from the topics.

    Nothing stops meanwhile; counting waits while a new cut of series is filled. When all is there and right,
    `kvittera cuts switch` shows the new cuts; until then nobody sees them. Broken off, it may be called again. Exit 1
    when the cuts may not be switched on.
    """
    from services.aggregator.counting.cuts import read_cuts
    from services.embedded.local import reachable

    with reachable(kafka=True, postgres=True) as settings:
        wanted = read_cuts(file or settings.cuts_file)

        async def work(changes: "CutChanges") -> bool:
            built = await changes.build(await changes.plan(wanted))
            told = ", ".join(built.cuts) or "no new cuts"
            print(f"{told}: {built.placed} answers and decisions placed, {built.differing} cells differ")
            if built.missing:
                print(f"{built.missing} answers and decisions are older than the topics: the new cuts lack them")
            fine = built.equal or (accept_missing and not built.differing)
            if fine:
                await changes.accept(built)
            return fine

        fine = asyncio.run(_changing(settings, work))
    if not fine:
        raise typer.Exit(1)
    print("give every process this file for its next start, then run `kvittera cuts switch`")


def switch() -> None:
    """Show the cuts that were built, drop those that the new file leaves out, and change windows; all at once.

    Counting waits for as long as that takes: moments for new cuts, longer where windows of a large cut change.
    """
    from services.embedded.local import reachable

    with reachable(postgres=True) as settings:
        print("\n".join(asyncio.run(_changing(settings, lambda c: c.switch()))))


async def _stored(changes: "CutChanges") -> "tuple[list[StoredCut], FileVersions]":
    return await changes.stored.all(changes.connection), await changes.stored.files(changes.connection)


async def _changing(settings: "Settings", work: Callable[["CutChanges"], Awaitable[T]]) -> T:
    from services.aggregator.history.cut_changes import CutChanges
    from services.chassis.postgres import open_pool, tables_of

    pool = await open_pool(settings, "aggregator")
    try:
        async with tables_of(settings, "aggregator", command_timeout=3600) as connection:
            return await work(CutChanges(settings, pool, connection))
    finally:
        pool.terminate()
