"""`kvittera messages preview | outbox`: messages as they would arrive, and those that the outbox viewer holds."""

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from services.cli.written import place, write

if TYPE_CHECKING:
    from services.chassis.settings import Settings


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    group = typer.Typer(no_args_is_help=True, help="Look at the messages that recipients get.")
    group.callback()(lambda: None)
    group.command()(preview)
    group.command()(outbox)
    app.add_typer(group, name="messages", rich_help_panel="Sending")


def preview(
    touchpoint: Annotated[
        list[str] | None, typer.Option(help="home, shop_pickup, locker, return, enquiry or damaged; may be repeated.")
    ] = None,
    channel: Annotated[
        list[str] | None, typer.Option(help="email, sms, push, app or whatsapp; may be repeated.")
    ] = None,
    language: Annotated[list[str] | None, typer.Option(help="Such as sv; may be repeated.")] = None,
    reminder: Annotated[bool, typer.Option("--reminder", help="The one reminder instead of the request.")] = False,
    merchant: Annotated[str, typer.Option(help="The shop's name; empty: none is known.")] = "Fjällbod",
    co_brand: Annotated[bool, typer.Option("--co-brand", help="The shop asks beside the carrier.")] = False,
    notice: Annotated[str | None, typer.Option(help="What is said of a disruption; empty: the standard words.")] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write a page with all of them to this file instead.", callback=place)
    ] = None,
) -> None:
    """Print messages as they would arrive, with the number of paid parts of each text message.

    The name, phone, mail address and link host are those of the settings. Nothing is sent.
    """
    from services.chassis.environment import load_settings
    from services.notifier.gallery import CHANNELS, Choice, as_text, samples
    from services.notifier.gallery_page import standalone_page
    from services.notifier.phrasing import OCCASIONS
    from services.notifier.policy import LANGUAGES
    from services.notifier.render import Renderer, Sender

    settings = load_settings()
    renderer = Renderer(Sender(settings.brand, settings.help_phone, settings.help_email, settings.public_url))
    choice = Choice(
        _among("--touchpoint", touchpoint, OCCASIONS),
        _among("--channel", channel, CHANNELS),
        _among("--language", language, LANGUAGES),
        reminder=reminder,
        merchant=merchant,
        co_brand=co_brand,
        notice=notice,
    )
    chosen = list(samples(renderer, choice))
    if html is None:
        print("\n".join(map(as_text, chosen)))
        return
    write(html, standalone_page(chosen))
    print(f"{len(chosen)} messages are in {html}")


def _among(option: str, given: list[str] | None, known: tuple[str, ...]) -> tuple[str, ...]:
    unknown = [name for name in given or () if name not in known]
    if unknown:
        raise typer.BadParameter(f"{option} is one of {', '.join(known)}")
    return tuple(given or known)


def outbox(
    limit: Annotated[int, typer.Option(help="At most so many, the newest.", min=1, max=1000)] = 5,
    form: Annotated[Literal["text", "json"], typer.Option("--format", help="How to print.")] = "text",
) -> None:
    """Print the newest messages of the outbox viewer, with addresses and links in clear.

    That is where messages go while KVITTERA_CHANNEL is `outbox`: nobody was reached. Open a link to answer as its
    recipient. Needs the sealing key. For example:

    kvittera messages outbox --limit 1
    """
    from services.embedded.local import reachable

    with reachable(postgres=True) as settings:
        found = asyncio.run(_latest(settings, limit))
    if form == "json":
        print(json.dumps(found, ensure_ascii=False, indent=1))
    elif not found:
        print("the outbox viewer holds no message that KVITTERA_SEALING_KEY opens")
    else:
        print("\n\n".join(map(_as_text, reversed(found))))


async def _latest(settings: "Settings", limit: int) -> list[dict[str, object]]:
    from services.chassis.persons import PersonKeys
    from services.chassis.postgres import tables_of
    from services.chassis.sealing import Seal
    from services.notifier.viewer_messages import latest_messages

    persons = PersonKeys(Seal.from_setting(settings.sealing_key, settings.sealing_keys_before))
    async with tables_of(settings, "notifier") as connection:
        return await latest_messages(connection, persons, limit)


def _as_text(message: dict[str, object]) -> str:
    subject = [str(message["subject"])] if message["subject"] else []
    head = f"{message['created_at']}  {message['channel']} to {message['recipient']}"
    return "\n".join([head, *subject, str(message["body"]), f"link: {message['link']}"])
