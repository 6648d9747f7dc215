"""docs/reference/cli.md, written from the commands themselves: `make reference`."""

from pathlib import Path

import typer
from typer.cli import get_docs_for_click
from typer.core import TyperGroup
from typer.main import get_group

from services.cli import app

FILE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"
_NAME = "kvittera"
_NOTE = "<!-- Made by `make reference` from services/cli; change the commands, not this page. -->\n\n"


def document() -> str:
    """The page: every command with its arguments and options, as `--help` tells them."""
    program = get_group(app)
    _list_in_full(program)
    context = typer.Context(program, info_name=_NAME, help_option_names=["-h", "--help"])
    return _NOTE + get_docs_for_click(obj=program, ctx=context, name=_NAME, title="Commands").strip() + "\n"


def _list_in_full(group: TyperGroup) -> None:
    """Let the lists of commands tell each first sentence whole; by themselves they break off within it."""
    for command in group.commands.values():
        command.short_help = (command.help or "").partition("\n")[0]
        if isinstance(command, TyperGroup):
            _list_in_full(command)


if __name__ == "__main__":
    FILE.write_text(document(), encoding="utf-8", newline="\n")
