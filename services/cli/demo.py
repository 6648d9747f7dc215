"""`kvittera demo`: everything on this machine."""

import typer


def add_to(app: typer.Typer) -> None:
    """Add the command."""
