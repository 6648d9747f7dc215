"""`kvittera clients add | list | revoke`: keys for programs that use the survey's API."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from services.cli.tables import asked


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Keys for apps and kiosks that use the survey's API (docs/api.md).")
    group.command()(add)
    group.command("list")(list_clients)
    group.command()(revoke)
    app.add_typer(group, name="clients", rich_help_panel="Access")


def add(
    name: Annotated[str, typer.Argument(help="Who will hold the key, such as `app-ios` or `kiosk-arsta-1`.")],
    scope: Annotated[
        list[str],
        typer.Option(help="What it may do: responses:write, responses:read, kiosk. Give it again for more than one."),
    ],
    days: Annotated[int, typer.Option(help="The key expires after so many days.", min=1, max=3650)] = 365,
    carrier: Annotated[str | None, typer.Option(help="Kiosk: the carrier that is rated there.")] = None,
    country: Annotated[str | None, typer.Option(help="Kiosk: two letters, such as SE.")] = None,
    zone: Annotated[str | None, typer.Option(help="Kiosk: time zone, such as Europe/Stockholm.")] = None,
    terminal: Annotated[str | None, typer.Option(help="Kiosk: the terminal it stands at.")] = None,
    service_point: Annotated[str | None, typer.Option(help="Kiosk: the service point or shop it stands in.")] = None,
) -> None:
    """Make a key and print it. It is shown once: only its hash is stored.

    `responses:write` records the answer of a recipient who holds a link, `responses:read` reads those that
    the same key recorded. `kiosk` records taps of people who came by; it stands alone, and needs a carrier,
    a country, a zone, and a terminal or a service point. Examples:

    kvittera clients add app-ios --scope responses:write --scope responses:read

    kvittera clients add kiosk-1 --scope kiosk --carrier "Nordposten Demo" --country SE --zone Europe/Stockholm
    --service-point "Torget Spel & Tobak"
    """
    from services.survey.api.clients import Clients
    from services.survey.api.registration import read_place, read_scopes

    scopes = read_scopes(scope)
    place = read_place(
        scopes,
        {
            "carrier": carrier,
            "country": country,
            "zone": zone,
            "terminal": terminal,
            "service_point": service_point,
        },
    )
    now = datetime.now(UTC)
    key = asked(
        "survey",
        lambda c, _: Clients().add(
            c, name=name, scopes=scopes, place=place, now=now, expires_at=now + timedelta(days=days)
        ),
    )
    print(key.text)
    typer.echo(f"kept as {key.prefix}; keep the key now, it cannot be shown again", err=True)


def list_clients() -> None:
    """Show every key by its prefix: who holds it, what it may do, whether it is valid. Secrets are not stored."""
    from services.survey.api.clients import Clients

    now = datetime.now(UTC)
    clients = asked("survey", lambda c, _: Clients().all(c))
    for c in clients:
        state = "revoked" if c.revoked_at else "valid" if c.is_valid(now) else "expired"
        print(f"kv_{c.prefix}  {state:8} until {c.expires_at:%Y-%m-%d}  {','.join(sorted(c.scopes)):32} {c.name}")
    if not clients:
        print("no keys; make one with `kvittera clients add`")


def revoke(
    prefix: Annotated[str, typer.Argument(help="The prefix that `kvittera clients list` shows.")],
) -> None:
    """End a key at once. Answers that came with it stay. A revoked key cannot come back: make a new one."""
    from services.chassis.failures import MustStop
    from services.survey.api.clients import Clients

    wanted = prefix.removeprefix("kv_")
    if not asked("survey", lambda c, _: Clients().revoke(c, wanted, datetime.now(UTC))):
        raise MustStop("no key has this prefix; `kvittera clients list` shows them all")
    print(f"kv_{wanted} is revoked")
