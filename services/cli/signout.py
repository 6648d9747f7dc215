"""`kvittera signout`: end all sessions of a member of staff."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.tables import asked

if TYPE_CHECKING:
    from services.chassis.postgres import Database
    from services.chassis.settings import Settings


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="signout", rich_help_panel="Access")(signout)


def signout(
    subject: Annotated[str, typer.Argument(help="The member, by the provider's id.")],
    *,
    alias: Annotated[
        bool, typer.Option("--alias", help="The member is one of the aliases that a log line of lost sign-outs names.")
    ] = False,
) -> None:
    """End every session of a member of staff on all pages for staff, within about five seconds.

    For a lost machine, a copied cookie, or a role that was taken away: the next sign-in has the new roles.
    """
    asked("survey", lambda c, settings: end(c, settings, subject, datetime.now(UTC), is_alias=alias))
    print(f"every session of {subject} is over")


async def end(connection: "Database", settings: "Settings", member: str, now: datetime, *, is_alias: bool) -> None:
    """End the sessions of a member, who is given by the provider's id or by the alias of our logs and topics."""
    from services.chassis.staff.gate import sessions_of
    from services.survey.staff.sign_outs import end_all

    await end_all(connection, member if is_alias else sessions_of(settings).alias(member), now)
