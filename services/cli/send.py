"""`kvittera send`: stop sending, let it go on, and say where it stands."""

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from services.chassis.settings import Settings


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Sending")(send)


def send(
    pause: Annotated[bool, typer.Option("--pause", help="Begin no more calls, in any process.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Let sending go on; the volume breaker counts anew.")
    ] = False,
    status: Annotated[
        bool, typer.Option("--status", help="Only say where sending stands; so does no option at all.")
    ] = False,
) -> None:
    """Pause or resume sending everywhere, or say where it stands.

    A pause holds for every process at its next claim, within a second. What is being handed over is finished,
    deliveries are still decided and wait. A switch that cannot be read counts as off.
    """
    from services.embedded.local import reachable

    if pause + resume + status > 1:
        raise typer.BadParameter("give one of --pause, --resume and --status")
    with reachable(postgres=True) as settings:
        for line in asyncio.run(_send(settings, resume if pause or resume else None)):
            print(line)


async def _send(settings: "Settings", turn_to: bool | None) -> list[str]:
    from services.chassis.postgres import named_sql, tables_of
    from services.notifier.send_guard import who_is_reached

    sql = named_sql("services.notifier", "volume.sql")
    async with tables_of(settings, "notifier", command_timeout=60) as connection:
        if turn_to is not None:
            await connection.execute(sql["turn_switch"], turn_to, "operator")
        switch = await connection.fetchrow(sql["switch"])
        waits = await connection.fetchrow(sql["what_waits"])
        minute = await connection.fetchval(sql["calls_in_the_last_minute"])
    if turn_to is not None:
        await _turn_outcomes(settings, turn_to)
    assert waits is not None
    if switch is None:
        stands = "off: the switch is missing; --resume makes it anew"
    else:
        by = f" ({switch['reason']})" if switch["reason"] else ""
        stands = f"{'on' if switch['is_on'] else 'paused'} since {switch['changed_at']:%Y-%m-%d %H:%M:%S} UTC{by}"
    due = f"{waits['due']} due, {waits['later']} later (held requests and reminders)"
    return [
        f"sending: {stands}",
        f"waiting: {due}, {waits['sending']} just being sent, {waits['in_doubt']} in doubt",
        f"calls in the last minute, of channels with a cap: {minute}",
        f"reached, by the settings of this command: {who_is_reached(settings, datetime.now(UTC))}",
    ]


async def _turn_outcomes(settings: "Settings", turn_to: bool) -> None:
    """Hold what staff write to persons about their cases too: the survey sends it, under a switch of its own."""
    from services.chassis.postgres import named_sql, tables_of

    async with tables_of(settings, "survey", command_timeout=60) as connection:
        await connection.execute(named_sql("services.survey", "outcomes.sql")["turn_sending"], turn_to)
