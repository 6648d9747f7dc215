"""`kvittera keys rotate`: seal the persons' keys with a new key of the installation."""

import asyncio
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from services.chassis.settings import Settings


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    group = typer.Typer(no_args_is_help=True, help="The keys that seal personal data.")
    group.command()(rotate)
    group.callback()(_keys)
    app.add_typer(group, name="keys", rich_help_panel="Privacy")


def _keys() -> None:
    """The keys that seal personal data."""


def rotate() -> None:
    """Seal every person's key with the newest sealing key. The data itself is not touched.

    First set KVITTERA_SEALING_KEY to the new key and KVITTERA_SEALING_KEYS_BEFORE to the old ones, the latest
    first, and restart the services; then run this. It may be run at any time and again after it was stopped.
    Keep the old keys in the setting: pseudonyms come from the oldest.
    """
    from services.embedded.local import reachable

    with reachable(postgres=True) as settings:
        for service in ("notifier", "survey"):
            print(f"{service}: {asyncio.run(_rotate(settings, service))} keys sealed anew")


async def _rotate(settings: "Settings", service: str) -> int:
    from services.chassis.failures import MustStop, Poison
    from services.chassis.persons import PersonKeys
    from services.chassis.postgres import tables_of
    from services.chassis.sealing import Seal

    persons = PersonKeys(Seal.of(settings))
    async with tables_of(settings, service, command_timeout=600) as connection:
        total = 0
        while True:
            try:
                async with connection.transaction():
                    done = await persons.rewrap(connection)
            except Poison:
                raise MustStop(
                    f"a person's key of the {service} was sealed with a key that is not at hand: add it to"
                    " KVITTERA_SEALING_KEYS_BEFORE"
                ) from None
            total += done
            if not done:
                return total
