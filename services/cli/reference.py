"""docs/reference/cli.md, written from the commands themselves: `make reference`."""

from collections.abc import Iterator
from pathlib import Path

import typer
from typer.cli import get_docs_for_click
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from services.cli import app

FILE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"
_NAME = "kvittera"
_NOTE = "<!-- Made by `make reference` from services/cli; change the commands, not this page. -->\n\n"


def document() -> str:
    """The page: every command with its arguments and options, as `--help` tells them."""
    program = get_command(app)
    for command in _all(program):
        # Otherwise the lists of commands break off within a sentence.
        command.short_help = (command.help or "").partition("\n")[0]
    context = typer.Context(program, info_name=_NAME, help_option_names=["-h", "--help"])
    return _NOTE + get_docs_for_click(obj=program, ctx=context, name=_NAME, title="Commands").strip() + "\n"


def _all(command: TyperCommand | TyperGroup) -> Iterator[TyperCommand | TyperGroup]:
    yield command
    for child in getattr(command, "commands", {}).values():
        yield from _all(child)


if __name__ == "__main__":
    FILE.write_text(document(), encoding="utf-8", newline="\n")
