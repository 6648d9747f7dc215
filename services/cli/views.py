"""`kvittera views`: print who looked at contact data."""

import asyncio
import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

if TYPE_CHECKING:
    from services.chassis.settings import Settings


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Privacy")(views)


def views(
    days: Annotated[float, typer.Option(help="How many days back.", min=0)] = 30,
    subject: Annotated[str | None, typer.Option(help="Only this member, by the provider's id.")] = None,
    answer: Annotated[UUID | None, typer.Option(help="Only the contact data of this answer.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many lines.", min=1)] = 1000,
) -> None:
    """Print which member of staff looked at whose contact data, when and why, newest first, a JSON line each."""
    from services.embedded.local import reachable

    with reachable(postgres=True) as settings:
        found = asyncio.run(_read(settings, datetime.now(UTC) - timedelta(days=days), subject, answer, limit))
    if not found:
        print(f"nobody looked at contact data in the last {days:g} days", file=sys.stderr)
    for view in found:
        print(json.dumps(view, ensure_ascii=False, default=str))


async def _read(
    settings: "Settings", since: datetime, subject: str | None, answer: UUID | None, limit: int
) -> list[dict[str, object]]:
    from services.chassis.postgres import tables_of
    from services.survey.privacy import contact_views

    async with tables_of(settings, "survey") as connection:
        found = await contact_views.views(connection, since, subject=subject, response_id=answer, limit=limit)
        return [asdict(view) for view in found]
