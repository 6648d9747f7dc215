"""`kvittera --version`: which version runs here."""

from typing import Annotated

import typer


def add_to(app: typer.Typer) -> None:
    """Add the option."""
    app.callback()(_options)


def _options(
    _: Annotated[
        bool,
        typer.Option(
            "--version",
            is_eager=True,
            callback=lambda asked: _tell(asked=asked),
            help="Say which version this is, and exit.",
        ),
    ] = False,
) -> None:
    """The options of the program itself; what it is about stands in its help."""


def _tell(*, asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"kvittera {version('kvittera')}")
        raise typer.Exit
