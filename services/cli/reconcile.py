"""`kvittera reconcile`: prove that every delivery has exactly one outcome."""

import asyncio
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from services.chassis.settings import Settings


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Results")(reconcile)


def reconcile() -> None:
    """Prove that every delivery has exactly one outcome; exit 1 and name the gap otherwise.

    Compares, in one snapshot: delivered = asked + suppressed + pending + failed by the tables, the same as
    counted while they changed, and the deliveries that Kafka still has and that were read.
    """
    from services.embedded.local import reachable

    with reachable(postgres=True, kafka=True) as settings:
        clean, lines = asyncio.run(_reconcile(settings))
    for line in lines:
        print(line)
    if not clean:
        raise typer.Exit(1)


async def _reconcile(settings: "Settings") -> tuple[bool, list[str]]:
    from services.chassis.postgres import LONG_READ, tables_of
    from services.notifier.reconcile import reconcile as compare

    async with tables_of(settings, "notifier", command_timeout=LONG_READ) as connection:
        found = await compare(connection, settings)
    return found.clean, found.lines()
