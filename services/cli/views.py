"""`kvittera views`: print who looked at contact data."""

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

import typer

from services.cli.tables import asked


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Privacy")(views)


def views(
    days: Annotated[float, typer.Option(help="How many days back.", min=0, max=36_500)] = 30,
    subject: Annotated[str | None, typer.Option(help="Only this member, by the provider's id.")] = None,
    answer: Annotated[UUID | None, typer.Option(help="Only the contact data of this answer.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many lines.", min=1, max=1_000_000_000)] = 1000,
) -> None:
    """Print which member of staff looked at whose contact data, when and why, newest first, a JSON line each."""
    from services.survey.privacy import contact_views

    since = datetime.now(UTC) - timedelta(days=days)
    found = asked(
        "survey", lambda c, _: contact_views.views(c, since, subject=subject, response_id=answer, limit=limit + 1)
    )
    if len(found) > limit:
        print(f"there are more views than {limit}: raise --limit, or ask for fewer --days", file=sys.stderr)
    if not found:
        print(f"nobody looked at contact data in the last {days:g} days", file=sys.stderr)
    for view in found[:limit]:
        print(json.dumps(asdict(view), ensure_ascii=False, default=str))
