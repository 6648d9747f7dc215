"""`kvittera topics apply | check`."""

import asyncio

import typer


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Create and verify the Kafka topics, as their cards say.")
    group.command()(apply)
    group.command()(check)
    app.add_typer(group, name="topics", rich_help_panel="Preparation")


def apply() -> None:
    """Create the topics that are missing. Existing ones are never changed."""
    from schemas.topics import CARDS
    from services.chassis.topic_admin import apply_topics
    from services.embedded.local import reachable

    with reachable(kafka=True) as settings:
        created = asyncio.run(apply_topics(settings, tuple(CARDS.values())))
    print("\n".join(f"created {name}" for name in created) if created else "all topics exist")


def check() -> None:
    """Compare the broker's topics with their cards; exit 1 and name each difference."""
    from schemas.topics import CARDS
    from services.chassis.topic_admin import compare_topics
    from services.embedded.local import reachable

    with reachable(kafka=True) as settings:
        differences = asyncio.run(compare_topics(settings, tuple(CARDS.values())))
    for d in differences:
        print(f"{d.topic}: {d.what} should be {d.expected}, is {d.found}")
    if differences:
        print("create missing topics with `kvittera topics apply`; change settings with your Kafka tools")
        raise typer.Exit(1)
    print(f"all {len(CARDS)} topics are as their cards say")
