"""`kvittera partners add | list | revoke`: who may read which published numbers."""

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from services.cli.tables import asked

if TYPE_CHECKING:
    from services.aggregator.counting.cuts import Cut
    from services.chassis.postgres import Database
    from services.chassis.settings import Settings

_NO_PUBLIC_PAGE = (
    "note: beside a view of all merchants the public page /quality tells no figures: less what the partner reads they"
    " would tell what few people answered"
)


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Partners that read published numbers (docs/partners.md).")
    group.command()(add)
    group.command("list")(list_partners)
    group.command()(revoke)
    app.add_typer(group, name="partners", rich_help_panel="Access")


def add(
    partner: Annotated[str, typer.Argument(help="A short id in lower case; it is part of the topic's name.")],
    merchant: Annotated[
        list[str] | None, typer.Option(help="Only deliveries of this merchant. Give it again for more than one.")
    ] = None,
    cut: Annotated[
        list[str] | None,
        typer.Option(help="Cut by this; give finer cuts after coarser ones: terminal, terminal.method."),
    ] = None,
    window: Annotated[Literal["week", "month"], typer.Option(help="The time that a number covers.")] = "month",
    grid: Annotated[Literal["day", "week", "month"], typer.Option(help="How often numbers are published.")] = "day",
    audience: Annotated[
        Literal["partner", "public"], typer.Option(help="Who reads it; decides how many is enough.")
    ] = ("partner"),
) -> None:
    """Register a partner, create its topic, and print its key and the commands that let it read the topic.

    Without --merchant the view is of all merchants. Example, a shop that sees its own deliveries by method:

    kvittera partners add fjallbod --merchant fjallbod --cut merchant.method
    """
    import re

    from services.aggregator.partners.partners import Partners, new_lot
    from services.aggregator.partners.views import View
    from services.chassis.failures import MustStop
    from services.embedded.local import reachable

    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,39}", partner):
        raise MustStop("the id of a partner is 1 to 40 of a-z, 0-9 and -")
    view = View(partner, audience, tuple(merchant) if merchant else None, tuple(cut or ()), window, grid, new_lot())

    async def work(settings: "Settings") -> None:
        from schemas.partners import partner_card
        from services.chassis.postgres import database_time, tables_of
        from services.chassis.topic_admin import apply_topics

        async with tables_of(settings, "aggregator") as connection:
            counted = await _counted(settings, connection)
            await Partners().check(connection, view, counted)
            for name, close in (await Partners().not_counted(connection, view)).items():
                typer.echo(not_counted(name, close), err=True)
            if view.merchants is None:
                typer.echo(_NO_PUBLIC_PAGE, err=True)
            # A partner is for ever and its key is told once: what can fail, and be tried again, comes before.
            await apply_topics(settings, [partner_card(partner)])
            key = await Partners().add(connection, view, counted, await database_time(connection))
            print(key.text, flush=True)

    with reachable(kafka=True, postgres=True) as settings:
        asyncio.run(work(settings))
        typer.echo("keep the key now, it cannot be shown again; on a secured broker run:", err=True)
        print("\n".join(access(partner, settings.kafka_bootstrap, "--add")))


def not_counted(merchant: str, close: list[str]) -> str:
    """The warning about a merchant of whom nothing was counted yet, who may be named wrongly."""
    meant = f"; did you mean {' or '.join(close)}?" if close else ""
    why = "--merchant takes the merchant_id of deliveries, and the topic of a wrong one stays empty"
    return f"warning: nothing of merchant {merchant} was counted yet{meant or ':'} {why}"


def access(partner: str, bootstrap: str, action: Literal["--add", "--remove"]) -> list[str]:
    """The commands that let a partner read its topic, in groups of its own, and nothing else; or that end it."""
    from schemas.partners import partner_topic

    user, force = f"--allow-principal User:partner-{partner}", " --force" if action == "--remove" else ""
    acls = f"kafka-acls.sh --bootstrap-server {bootstrap} {action}{force} {user}"
    lines = [
        f"{acls} --operation Read --operation Describe --topic {partner_topic(partner)}",
        # The dot ends the prefix: "partner-a." is no group of partner-ab.
        f"{acls} --operation Read --group partner-{partner}. --resource-pattern-type prefixed",
    ]
    quota = (
        f"kafka-configs.sh --bootstrap-server {bootstrap} --alter --entity-type users --entity-name partner-{partner}"
    )
    return [*lines, f"{quota} --add-config consumer_byte_rate=1048576"] if action == "--add" else lines


def list_partners() -> None:
    """Show every partner: what it sees, since when, and when it was last published to."""
    from services.aggregator.partners.partners import Partners

    partners = asked("aggregator", lambda c, _: Partners().all(c))
    for p in partners:
        of = ", ".join(p.view.merchants) if p.view.merchants else "all merchants"
        state = "revoked" if p.revoked_at else f"published {p.published_at:%Y-%m-%d %H:%M}"
        cuts = " > ".join(("total", *p.view.cuts))
        print(
            f"{p.view.partner:20} {state:26} each {p.view.grid:5} by {p.view.window:5} kv_{p.prefix}  {cuts}  of {of}"
        )
    if not partners:
        print("no partners; register one with `kvittera partners add`")


def revoke(
    partner: Annotated[str, typer.Argument(help="The id that `kvittera partners list` shows.")],
) -> None:
    """Publish nothing more to a partner and refuse its key; prints the commands that take its rights away.

    What it has read it has. It cannot come back under the same id, nor its merchants in another view: two views
    could be subtracted.
    """
    from schemas.partners import partner_topic
    from services.aggregator.partners.partners import Partners
    from services.chassis.failures import MustStop

    async def end(connection: "Database", settings: "Settings") -> str | None:
        ended = await Partners().revoke(connection, partner, datetime.now(UTC))
        return settings.kafka_bootstrap if ended else None

    if (bootstrap := asked("aggregator", end)) is None:
        raise MustStop("there is no such partner; `kvittera partners list` shows them all")
    print("\n".join(access(partner, bootstrap, "--remove")))
    print(f"kafka-topics.sh --bootstrap-server {bootstrap} --delete --topic {partner_topic(partner)}")


async def _counted(settings: "Settings", connection: "Database") -> "list[Cut]":
    """The cuts that hold everything; before the first start those that it will store."""
    from services.aggregator.counting.cuts import load_cuts
    from services.aggregator.counting.stored_cuts import COUNTED, StoredCuts

    stored = await StoredCuts().all(connection)
    return [s.cut for s in stored if s.state == COUNTED] if stored else [*load_cuts(settings.cuts_file)]
