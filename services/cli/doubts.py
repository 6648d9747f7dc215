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


def list_doubts(
    limit: Annotated[int, typer.Option(help="At most so many, the oldest.", min=1, max=1_000_000_000)] = 100,
) -> None:
    """List sends in doubt: reference, delivery, kind, channel, since when, why, whose shop's."""
    from services.embedded.local import reachable

    with reachable(postgres=True) as settings:
        lines = asyncio.run(_list(settings, limit))
    for line in lines:
        print(line)
    print(f"{len(lines):8}  in doubt")


def resolve(
    verdict: Annotated[
        Verdict,
        typer.Option(
            "--as", help="arrived: it reached the provider. lost: it did not. again: send it once more, rather twice."
        ),
    ],
    reference: Annotated[UUID | None, typer.Argument(help="As `list` prints it, and as the provider has it.")] = None,
    merchant: Annotated[str | None, typer.Option(help="Instead: all about this shop's parcels.")] = None,
    touchpoint: Annotated[
        str | None, typer.Option(help="Instead: all about home, shop_pickup, locker, return or enquiry.")
    ] = None,
    channel: Annotated[str | None, typer.Option(help="Instead: all by email, sms, push or app.")] = None,
) -> None:
    """Settle a send in doubt by what you know, for instance from the provider's own log, or all of a campaign."""
    from schemas.delivery import ChannelKind, Touchpoint
    from services.embedded.local import reachable

    _check("--touchpoint", touchpoint, [t.value for t in Touchpoint])
    _check("--channel", channel, [c.value for c in ChannelKind])
    if (reference is None) == (not (merchant or touchpoint or channel)):
        raise typer.BadParameter("give a reference, or what all the sends have in common")
    with reachable(postgres=True) as settings:
        done = asyncio.run(_resolve(settings, (reference, merchant, touchpoint, channel), verdict))
    what = str(reference) if reference else f"{done} in doubt"
    print(f"{what}: {f'settled as {verdict.value}' if done else 'is not in doubt'}")
    if reference and not done:
        raise typer.Exit(1)


def _check(option: str, given: str | None, known: list[str]) -> None:
    if given is not None and given not in known:
        raise typer.BadParameter(f"{option} is one of {', '.join(known)}")


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


async def _resolve(
    settings: "Settings", chosen: tuple[UUID | None, str | None, str | None, str | None], verdict: Verdict
) -> int:
    from services.chassis.metrics import Metrics
    from services.chassis.outbox import Relay
    from services.chassis.persons import PersonKeys
    from services.chassis.postgres import open_pool
    from services.chassis.sealing import Seal
    from services.notifier.dispatch import utc_now
    from services.notifier.doubts import Chosen, resolve_doubts
    from services.notifier.policies import read_policies
    from services.notifier.settlement import Settling

    persons, relay = PersonKeys(Seal.of(settings)), Relay(settings, "notifier", Metrics())
    policies = read_policies(settings.policies_folder)
    pool = await open_pool(settings, "notifier")
    try:
        settling = Settling(
            pool, persons, relay, utc_now, lambda: policies.at(utc_now()).hours.reminder_days, policies.departs
        )
        return await resolve_doubts(pool, settling, Chosen(*chosen), verdict)
    finally:
        await pool.close()
