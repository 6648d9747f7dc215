"""`kvittera signout`: end all sessions of a member of staff."""

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from services.chassis.settings import Settings


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="signout", rich_help_panel="Access")(signout)


def signout(subject: Annotated[str, typer.Argument(help="The member, by the provider's id.")]) -> None:
    """End every session of a member of staff on all pages for staff, within about five seconds.

    For a lost machine, a copied cookie, or a role that was taken away: the next sign-in has the new roles.
    """
    from services.embedded.local import reachable

    with reachable(postgres=True) as settings:
        asyncio.run(_end(settings, subject))
    print(f"every session of {subject} is over")


async def _end(settings: "Settings", subject: str) -> None:
    from services.chassis.postgres import tables_of
    from services.chassis.staff.gate import sessions_of
    from services.survey.staff.sign_outs import end_all

    async with tables_of(settings, "survey", command_timeout=60) as connection:
        await end_all(connection, sessions_of(settings).alias(subject), datetime.now(UTC))
