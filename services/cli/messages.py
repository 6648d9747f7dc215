"""`kvittera messages preview`: every message as it would arrive, without sending one."""

from pathlib import Path
from typing import Annotated

import typer


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    group = typer.Typer(no_args_is_help=True, help="Look at the messages that recipients get.")
    group.callback()(lambda: None)
    group.command()(preview)
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
    html: Annotated[Path | None, typer.Option(help="Write a page with all of them to this file instead.")] = None,
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
    html.write_text(standalone_page(chosen), encoding="utf-8")
    print(f"{len(chosen)} messages are in {html}")


def _among(option: str, given: list[str] | None, known: tuple[str, ...]) -> tuple[str, ...]:
    unknown = [name for name in given or () if name not in known]
    if unknown:
        raise typer.BadParameter(f"{option} is one of {', '.join(known)}")
    return tuple(given or known)
