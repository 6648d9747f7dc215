"""`kvittera signout`: end all sessions of a member of staff."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from services.cli.tables import asked


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="signout", rich_help_panel="Access")(signout)


def signout(subject: Annotated[str, typer.Argument(help="The member, by the provider's id.")]) -> None:
    """End every session of a member of staff on all pages for staff, within about five seconds.

    For a lost machine, a copied cookie, or a role that was taken away: the next sign-in has the new roles.
    """
    from services.chassis.staff.gate import sessions_of
    from services.survey.staff.sign_outs import end_all

    asked("survey", lambda c, settings: end_all(c, sessions_of(settings).alias(subject), datetime.now(UTC)))
    print(f"every session of {subject} is over")
