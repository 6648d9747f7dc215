"""`kvittera republish`: refill topics from a service's outbox."""

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from services.chassis.settings import Settings


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Repair")(republish)


def republish(
    service: Annotated[Literal["notifier", "survey", "aggregator"], typer.Argument(help="Whose outbox.")],
    since: Annotated[datetime, typer.Option(help="Everything written from this moment on (UTC unless it says).")],
) -> None:
    """Publish a service's outbox rows again, after Kafka lost records.

    Rows are kept for KVITTERA_OUTBOX_KEEP_HOURS after they were written. Event ids and revisions stay the
    same, so readers drop what they have already. The running service's relay does the sending.
    """
    from services.embedded.local import reachable

    with reachable(postgres=True) as settings:
        count = asyncio.run(_mark(settings, service, since))
    print(f"{count} rows of the {service}'s outbox wait to be published again")


async def _mark(settings: "Settings", service: str, since: datetime) -> int:
    from datetime import UTC

    from services.chassis.postgres import named_sql, tables_of

    async with tables_of(settings, service, command_timeout=600) as connection:
        moment = since if since.tzinfo else since.replace(tzinfo=UTC)
        status = await connection.execute(named_sql("services.chassis", "outbox.sql")["publish_again_since"], moment)
        return int(status.rpartition(" ")[2])
