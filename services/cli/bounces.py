"""`kvittera bounces`: returned mails from files and folders."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from services.chassis.settings import Settings


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Sending")(bounces)


def bounces(
    paths: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Saved mails, folders of them, or Maildirs.", exists=True)
    ],
) -> None:
    """Take in returned mails: messages that did not arrive, and addresses that are hopeless.

    Each mail counts once, however often it is given.
    """
    from services.embedded.local import reachable

    with reachable(postgres=True) as settings:
        counts = asyncio.run(_take(settings, paths))
    for result, number in sorted(counts.items()):
        print(f"{number:8}  {result}")
    print(f"{counts.total():8}  mails")


async def _take(settings: "Settings", paths: list[Path]) -> Counter[str]:
    from datetime import timedelta

    from services.chassis.metrics import Metrics
    from services.chassis.persons import PersonKeys
    from services.chassis.postgres import open_pool
    from services.chassis.sealing import Seal
    from services.notifier.channels.providers import read_providers
    from services.notifier.channels.receipt_links import ReceiptLinks
    from services.notifier.channels.routed import SMTP
    from services.notifier.channels.smtp import SmtpTable
    from services.notifier.receipts import ReceiptsInbox
    from services.notifier.returned_mails import saved_mails, take_returned

    seal = Seal.of(settings)
    described = read_providers(settings.providers_file).provider if settings.providers_file is not None else ()
    providers = [*(p.name for p in described if isinstance(p, SmtpTable)), SMTP]
    mails = (file.read_bytes() for path in paths for file in saved_mails(path))
    pool = await open_pool(settings, "notifier")
    try:
        inbox = ReceiptsInbox(pool, PersonKeys(seal), timedelta(days=settings.unreachable_days), Metrics())
        return await take_returned(inbox, ReceiptLinks(seal, ""), providers, mails)
    finally:
        await pool.close()
