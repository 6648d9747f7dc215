"""`kvittera dlq list | show | replay | drop`: look at dead letters, send them again, or give them up."""

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections import Counter

    from services.chassis.deadletter_drop import Dropping

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
    from services.chassis.deadletter_store import count_letters, topics_with_dead_letters
    from services.embedded.local import reachable

    async def count_all() -> "dict[str, Counter[tuple[str, str]]]":
        names = [topic] if topic else topics_with_dead_letters()
        return dict(zip(names, await asyncio.gather(*(count_letters(settings, n) for n in names)), strict=True))

    with reachable(kafka=True) as settings:
        found = asyncio.run(count_all())
    for name, counted in found.items():
        if topic is None and counted:
            print(name)
        if topic or counted:
            _print_counts(counted)
    if not topic and not any(found.values()):
        print("there are no dead letters")


def _print_counts(counted: "Counter[tuple[str, str]]") -> None:
    for (reason, detail), n in counted.most_common():
        print(f"{n:8}  {reason}  {detail}")
    print(f"{counted.total():8}  in all")


def show(
    topic: Topic,
    limit: Annotated[int, typer.Option(help="At most so many, the newest.", min=1, max=1_000_000)] = 20,
    values: Annotated[
        bool, typer.Option("--values", help="Show the records too. They may hold personal data.")
    ] = False,
) -> None:
    """Show dead letters: why, from where, when. Values are hidden unless asked for."""
    from services.chassis.deadletter_store import read_letters
    from services.embedded.local import reachable

    with reachable(kafka=True) as settings:
        letters = asyncio.run(read_letters(settings, topic, newest=limit))
    for letter in letters:
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
    invitation.decided.v1 the survey's PostgreSQL must be reachable too. The account needs the right to delete from the
    topic of dead letters, which the services do without.
    """
    from schemas.topics import INVITATION_DECIDED
    from services.chassis.deadletter_drop import drop_letters
    from services.embedded.local import reachable

    moment = before if before.tzinfo else before.replace(tzinfo=UTC)

    def agree(count: int) -> None:
        if not yes:
            typer.confirm(f"drop {count} dead letters of {topic} for good?", abort=True)

    async def give_up(dropping: "Dropping") -> None:
        print(f"links that cannot be used any more: {await _give_up_links(dropping)}")

    giving_up = give_up if topic == INVITATION_DECIDED else None
    with reachable(kafka=True, postgres=giving_up is not None) as settings:
        work = drop_letters(settings, topic, before=moment, dry_run=dry_run, agree=agree, giving_up=giving_up)
        dropped = asyncio.run(work)
    print(f"{dropped} {'would be' if dry_run else 'were'} dropped")


async def _give_up_links(dropping: "Dropping") -> int:
    from services.chassis.postgres import tables_of
    from services.survey.answers.unread_links import give_up_links

    async with tables_of(dropping.settings, "survey") as connection:
        return await give_up_links(connection, dropping.values())
