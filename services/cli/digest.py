"""`kvittera digest`: what happened at a terminal or shop on a day."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from services.cli.written import place, write

if TYPE_CHECKING:
    from services.aggregator.digests.digest import Digest
    from services.chassis.postgres import Database
    from services.chassis.settings import Settings


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Results")(digest)


def digest(
    terminal: Annotated[str, typer.Option(help="The terminal, or a value of the cut, as deliveries name it.")],
    day: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="The day of the deliveries.")],
    cut: Annotated[str, typer.Option(help="Another cut, such as service_point for a shop.")] = "terminal",
    form: Annotated[Literal["html", "text"], typer.Option("--format", help="How to print.")] = "text",
    to: Annotated[Path | None, typer.Option(help="Write to this file instead.", callback=place)] = None,
    taken_care_by: Annotated[str, typer.Option(help="Say who took care of it.")] = "",
    note: Annotated[str, typer.Option(help="What was done; with --taken-care-by.")] = "",
) -> None:
    """Print a day's digest of a terminal or shop beside the 28 days before.

    Example: `kvittera digest --terminal Luleå --day 2026-11-20`
    """
    from services.aggregator.digests.digest import as_html, as_text
    from services.aggregator.digests.routes import Digests
    from services.chassis.failures import MustStop
    from services.cli.tables import asked

    if note and not taken_care_by:
        raise MustStop("--note is kept with who took care of it: give --taken-care-by too")
    on: date = day.date()

    async def read(connection: "Database", _: "Settings") -> "Digest":
        digests = Digests()
        async with connection.transaction():  # nobody takes care of a digest that there is not
            if taken_care_by:
                who, now = taken_care_by, datetime.now(UTC)
                await digests.take_care(connection, cut, terminal, on, who=who, note=note, now=now)
            return await digests.of(connection, cut, terminal, on)

    told = asked("aggregator", read)
    text = as_html(told) if form == "html" else as_text(told)
    if to is None:
        print(text, end="")
    else:
        write(to, text)
