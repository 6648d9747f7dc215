"""`kvittera policy explain | simulate`: why a delivery was not asked about, and what another policy would do."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from services.chassis.settings import Settings
    from services.notifier.explaining import Told
    from services.notifier.policy.sections import Section
    from services.notifier.simulating import Comparison


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Why somebody is asked or not, and what another policy would do.")
    group.command()(explain)
    group.command()(simulate)
    app.add_typer(group, name="policy", rich_help_panel="Results")


def explain(delivery: Annotated[str, typer.Option(help="The delivery's id.")]) -> None:
    """Print rule by rule why a delivery was asked about, or why not."""
    from services.chassis.failures import MustStop
    from services.embedded.local import reachable
    from services.notifier import explaining

    with reachable(postgres=True) as settings:
        told = asyncio.run(_read(settings, delivery))
    if told is None:
        raise MustStop(f"nothing was decided about {delivery}: it may not have arrived yet")
    print("\n".join(explaining.explain(told)))


async def _read(settings: "Settings", delivery: str) -> "Told | None":
    from services.chassis.postgres import tables_of
    from services.notifier.stored import stored_decision

    async with tables_of(settings, "notifier") as connection:
        return await stored_decision(connection, delivery)


def simulate(
    file: Annotated[Path, typer.Argument(help="The changed policy, such as merchants.v2.toml.")],
    csv_file: Annotated[Path | None, typer.Option("--from", help="A CSV file with deliveries.")] = None,
    days: Annotated[
        float | None, typer.Option("--from-last", help="The deliveries of so many days.", min=0, max=3650)
    ] = None,
) -> None:
    """Print what a changed policy would have done to deliveries: asked, not asked and why, by country and merchant.

    Nothing is sent and nothing is written. The file holds from the first delivery on, whatever it says itself.
    `--from-last` reads what Kafka still keeps. Wishes, erasures and disruptions are left out on both sides.
    """
    from services.chassis.environment import load_settings
    from services.chassis.failures import MustStop
    from services.embedded.local import reachable
    from services.notifier.past import read_csv
    from services.notifier.policies import read_changed

    if (csv_file is None) == (days is None):
        raise MustStop("give either --from with a CSV file or --from-last with days")
    changed = read_changed(file)
    if csv_file is not None:
        comparison = _comparison(load_settings(), *changed)
        comparison.take(read_csv(csv_file))
    else:
        with reachable(kafka=True) as settings:
            comparison = _comparison(settings, *changed)
            asyncio.run(_take_topic(comparison, settings, datetime.now(UTC) - timedelta(days=days or 0)))
    print(f"{comparison.deliveries} deliveries; nothing was sent.\n")
    print(f"{'':32}{'now':>9}{'changed':>9}")
    for line in comparison.lines():
        change = f"{line.change:+9}" if line.change else ""
        print(f"{line.part + ' ' + line.name:32}{line.old:9}{line.new:9}{change}")


async def _take_topic(comparison: "Comparison", settings: "Settings", since: datetime) -> None:
    from services.notifier.past import read_topic

    async for past in read_topic(settings, since):
        comparison.take(past)


def _comparison(settings: "Settings", section: str, changed: "Section") -> "Comparison":
    """Both sides, from the settings and the changed section."""
    from schemas.delivery import ChannelKind
    from services.chassis.sealing import Seal
    from services.notifier.policies import read_policies
    from services.notifier.policy import Policies, Rules
    from services.notifier.policy.draws import KEY
    from services.notifier.simulating import Comparison, Side

    book = read_policies(settings.policies_folder)
    given = bool(settings.sealing_key.get_secret_value())
    # Without the installation's key the shares are right, but other deliveries are drawn.
    key = Seal.of(settings).pseudonym(KEY) if given else b""

    def rules(policies: Policies) -> Rules:
        return Rules(
            timedelta(hours=settings.max_delivery_age_hours),
            timedelta(seconds=settings.ask_delay_seconds),
            frozenset({ChannelKind.EMAIL} if settings.channel == "smtp" else ChannelKind),
            policies,
            key,
        )

    return Comparison(
        Side(lambda at: rules(book.at(at))),
        Side(lambda at: rules(book.at(at).model_copy(update={section: changed}))),
    )
