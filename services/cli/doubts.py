"""`kvittera doubts list | resolve`: sends whose fate is not known."""

import asyncio
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from services.notifier.verdicts import Verdict

if TYPE_CHECKING:
    from services.chassis.settings import Settings


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Look at sends whose fate is not known, and settle them.")
    group.command("list")(list_doubts)
    group.command()(resolve)
    app.add_typer(group, name="doubts", rich_help_panel="Sending")


def list_doubts(limit: Annotated[int, typer.Option(help="At most so many, the oldest.", min=1)] = 100) -> None:
    """List sends in doubt: reference, delivery, kind, channel, since when, why, whose shop's."""
    from services.embedded.local import reachable

    with reachable(postgres=True) as settings:
        lines = asyncio.run(_list(settings, limit))
    for line in lines:
        print(line)
    print(f"{len(lines):8}  in doubt")


def resolve(
    reference: Annotated[UUID, typer.Argument(help="As `list` prints it, and as the provider has it.")],
    verdict: Annotated[
        Verdict,
        typer.Option(
            "--as", help="arrived: it reached the provider. lost: it did not. again: send it once more, rather twice."
        ),
    ],
) -> None:
    """Settle a send in doubt by what you know, for instance from the provider's own log."""
    from services.embedded.local import reachable

    with reachable(postgres=True) as settings:
        done = asyncio.run(_resolve(settings, reference, verdict))
    print(f"{reference}: {f'settled as {verdict.value}' if done else 'is not in doubt'}")
    if not done:
        raise typer.Exit(1)


async def _list(settings: "Settings", limit: int) -> list[str]:
    from services.chassis.postgres import open_pool
    from services.notifier.doubts import list_doubts as find

    pool = await open_pool(settings, "notifier")
    try:
        async with pool.acquire() as connection:
            rows = await find(connection, limit)
    finally:
        await pool.close()
    return [
        f"{r['invitation_id']}  {r['delivery_id']}  {r['kind']}  {r['channel']}  since"
        f" {r['called_at']:%Y-%m-%d %H:%M:%S} UTC  {r['reason'] or 'interrupted'}  {r['merchant_id'] or '-'}"
        for r in rows
    ]


async def _resolve(settings: "Settings", reference: UUID, verdict: Verdict) -> bool:
    from datetime import UTC, datetime

    from services.chassis.metrics import Metrics
    from services.chassis.outbox import Relay
    from services.chassis.persons import PersonKeys
    from services.chassis.postgres import open_pool
    from services.chassis.sealing import Seal
    from services.notifier.doubts import resolve_doubt
    from services.notifier.settlement import Settling

    metrics = Metrics()
    seal = Seal.from_setting(settings.sealing_key, settings.sealing_keys_before)
    pool = await open_pool(settings, "notifier")
    try:
        settling = Settling(pool, PersonKeys(seal), Relay(settings, "notifier", metrics), lambda: datetime.now(UTC))
        return await resolve_doubt(pool, settling, reference, verdict, metrics)
    finally:
        await pool.close()
