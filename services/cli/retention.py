"""`kvittera retention run`: delete now what is older than its time."""

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from services.chassis.settings import Settings

_WORDS = {
    "viewer_messages": "messages of the outbox viewer",
    "secrets": "addresses and links that requests still hold",
    "unreachable": "notes that an address failed before",
    "dead_links": "links that nobody answered",
}
"""Of what goes, where its name says it to nobody else."""


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    group = typer.Typer(no_args_is_help=True, help="How long personal data is kept.")
    group.command()(run)
    group.callback()(_retention)
    app.add_typer(group, name="retention", rich_help_panel="Privacy")


def _retention() -> None:
    """How long personal data is kept."""


def run(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would go.")] = False,
) -> None:
    """Delete what is older than its time, in small batches.

    Running services do this once a day by themselves; docs/privacy.md lists what is kept how long. Tables that are
    kept by months lose whole months, and get room for the next ones. Scores and counters stay. It needs the sealing
    key, as the services do, and does nothing without it; --dry-run needs none.
    """
    from services.embedded.local import reachable

    with reachable(postgres=True) as settings:
        for service in ("notifier", "survey"):
            gone = asyncio.run(_run(settings, service, dry_run=dry_run))
            if gone is None:
                print(f"{service}: another process is at it")
            for what, rows in (gone or {}).items():
                print(
                    f"{service}: {rows} {_WORDS.get(what, what.replace('_', ' '))} {'would go' if dry_run else 'gone'}"
                )
            for table, names in (asyncio.run(_months(settings, service, dry_run=dry_run)) or {}).items():
                for name in names:
                    print(f"{service}: month {name} of {table} {'would go' if dry_run else 'gone'}")


async def _run(settings: "Settings", service: str, *, dry_run: bool) -> dict[str, int] | None:
    from services.chassis.known_keys import check_keys
    from services.chassis.postgres import tables_of
    from services.chassis.sealing import Seal
    from services.notifier.retention import retention as of_notifier
    from services.survey.privacy.retention import retention as of_survey

    rules = (of_notifier if service == "notifier" else of_survey)(settings)
    async with tables_of(settings, service, command_timeout=600) as connection:
        if dry_run:
            return await rules.due(connection)
        # Which words of a comment a contact wish's name masks is kept before the wish goes; that takes the right key.
        await check_keys(connection, service, Seal.of(settings))
        return await rules.run(connection)


async def _months(settings: "Settings", service: str, *, dry_run: bool) -> dict[str, list[str]] | None:
    from services.chassis.postgres import connect
    from services.notifier.retention import months as of_notifier
    from services.survey.privacy.retention import months as of_survey

    months = (of_notifier if service == "notifier" else of_survey)(settings)
    connection = await connect(settings, service, command_timeout=600)
    try:
        if dry_run:
            return await months.due(connection)
        await months.prepare(connection)
        return await months.drop(connection, datetime.now(UTC))
    finally:
        await connection.close()
