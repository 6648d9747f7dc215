"""`kvittera reviews check | report`: public reviews offered to all alike."""

import asyncio
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from services.chassis.settings import Settings


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Offers of a public review, which never depend on the score.")
    group.command()(check)
    group.command()(report)
    app.add_typer(group, name="reviews", rich_help_panel="Results")


def check() -> None:
    """Read the policy file and show a link of each policy, made for nobody.

    Business Generated Links are made for a made-up recipient: open one to see whether Trustpilot takes the keys.
    """
    from services.chassis.environment import load_settings
    from services.survey.reviews.offer import Recipient, read_policies, review_link

    policies = read_policies(load_settings().review_policy_file)
    found = {"default": policies.default, **policies.merchants}
    for name, policy in found.items():
        if policy is None or policy == "none":
            print(f"{name}: nothing is offered")
            continue
        nobody = Recipient("nobody@kund.example", "Nobody")
        link = review_link(policy, reference="0123456789abcdef", language="sv", recipient=nobody)
        print(f"{name}: {policy.site}, to {policy.rate:.0%}: {link.url}")


def report() -> None:
    """Prove from what is stored that offers do not depend on scores. Exit code 1 if they seem to.

    Every stored offer is decided again from the key, and scores with and without an offer are compared by a
    chi-squared test, within each policy, survey version and share.
    """
    from services.embedded.local import reachable

    with reachable(postgres=True) as settings:
        found, sound = asyncio.run(_report(settings))
    print("\n".join(found))
    if not sound:
        raise typer.Exit(1)


async def _report(settings: "Settings") -> tuple[list[str], bool]:
    from services.chassis.postgres import tables_of
    from services.chassis.sealing import Seal
    from services.survey.reviews.report import make_report

    seal = Seal.of(settings)
    async with tables_of(settings, "survey", command_timeout=600) as connection:
        made = await make_report(connection, seal)
        return made.lines(), made.sound
