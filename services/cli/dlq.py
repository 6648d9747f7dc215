"""`kvittera dlq list | show | replay | drop`: look at dead letters, send them again, or give them up."""

import asyncio
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from services.chassis.deadletter_store import Letter
    from services.chassis.settings import Settings

Topic = Annotated[str, typer.Argument(help="The topic whose dead letters are meant, such as delivery.completed.v1.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Look at dead letters, and send them again once the cause is gone.")
    group.command("list")(list_letters)
    group.command()(show)
    group.command()(replay)
    group.command()(drop)
    app.add_typer(group, name="dlq", rich_help_panel="Repair")


def list_letters(
    topic: Annotated[str | None, typer.Argument(help="Only this topic's, such as delivery.completed.v1.")] = None,
) -> None:
    """Count dead letters by reason, of one topic or of all that have some."""
    from services.chassis.deadletter_store import read_letters, topics_with_dead_letters
    from services.embedded.local import reachable

    async def read_all() -> "dict[str, list[Letter]]":
        names = [topic] if topic else topics_with_dead_letters()
        return dict(zip(names, await asyncio.gather(*(read_letters(settings, n) for n in names)), strict=True))

    with reachable(kafka=True) as settings:
        found = asyncio.run(read_all())
    for name, letters in found.items():
        if topic is None and letters:
            print(name)
        if topic or letters:
            _print_counts(letters)
    if not topic and not any(found.values()):
        print("there are no dead letters")


def _print_counts(letters: list["Letter"]) -> None:
    for (reason, detail), n in Counter((x.told["reason"], x.told["detail"]) for x in letters).most_common():
        print(f"{n:8}  {reason}  {detail}")
    print(f"{len(letters):8}  in all")


def show(
    topic: Topic,
    limit: Annotated[int, typer.Option(help="At most so many, the newest.", min=1)] = 20,
    values: Annotated[
        bool, typer.Option("--values", help="Show the records too. They may hold personal data.")
    ] = False,
) -> None:
    """Show dead letters: why, from where, when. Values are hidden unless asked for."""
    from services.chassis.deadletter_store import read_letters
    from services.embedded.local import reachable

    with reachable(kafka=True) as settings:
        letters = asyncio.run(read_letters(settings, topic))
    for letter in letters[-limit:]:
        told = letter.told
        place = f"{told['topic']}/{told['partition']}@{told['offset']}"
        print(f"{told['at']}  {place}  {told['reason']}  {told['detail']}")
        if values:
            print(f"    {letter.record.value!r}")


def replay(
    topic: Topic,
    reason: Annotated[str | None, typer.Option(help="Only letters with this reason.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many would be sent.")] = False,
) -> None:
    """Send dead letters to their topic again, as they were. What was processed meanwhile changes nothing."""
    from services.chassis.deadletter_store import replay_letters
    from services.embedded.local import reachable

    with reachable(kafka=True) as settings:
        sent = asyncio.run(replay_letters(settings, topic, reason=reason, dry_run=dry_run))
    print(f"{sent} {'would be' if dry_run else 'were'} sent to {topic}")


def drop(
    topic: Topic,
    before: Annotated[datetime, typer.Option(help="Those put aside before this moment (UTC unless it says).")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many would be dropped.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Give up dead letters for good, from the oldest to a moment. What they would have counted is not counted.

    Who opens the link of a dropped invitation reads at once that it cannot be used: for letters of
    invitation.decided.v1 the survey's PostgreSQL must be reachable too.
    """
    from schemas.topics import INVITATION_DECIDED
    from services.chassis.deadletter_store import drop_letters
    from services.embedded.local import reachable

    moment = before if before.tzinfo else before.replace(tzinfo=UTC)

    async def give_up(gone: "list[Letter]", left: "list[Letter]") -> None:
        links = await _give_up_links(settings, gone, left)
        print(f"links that cannot be used any more: {links}")

    invitations = topic == INVITATION_DECIDED
    with reachable(kafka=True, postgres=invitations) as settings:
        if not dry_run and not yes:
            count = asyncio.run(drop_letters(settings, topic, before=moment, dry_run=True))
            typer.confirm(f"drop {count} dead letters of {topic} for good?", abort=True)
        giving_up = give_up if invitations else None
        dropped = asyncio.run(drop_letters(settings, topic, before=moment, dry_run=dry_run, giving_up=giving_up))
    print(f"{dropped} {'would be' if dry_run else 'were'} dropped")


async def _give_up_links(settings: "Settings", gone: "list[Letter]", left: "list[Letter]") -> int:
    from services.chassis.postgres import tables_of
    from services.survey.answers.unread_links import give_up_links

    async with tables_of(settings, "survey") as connection:
        return await give_up_links(connection, [x.record.value for x in gone], [x.record.value for x in left])
