"""`kvittera boards add | list | revoke`: addresses of whiteboards for screens that cannot sign in."""

from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.tables import asked

if TYPE_CHECKING:
    from services.chassis.postgres import Database
    from services.chassis.settings import Settings


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Addresses of whiteboards, for screens that cannot sign in.")
    group.command()(add)
    group.command("list")(list_boards)
    group.command()(revoke)
    app.add_typer(group, name="boards", rich_help_panel="Access")


def add(
    terminal: Annotated[str, typer.Argument(help="The terminal, exactly as deliveries name it.")],
    title: Annotated[str, typer.Option(help="Its name on the board; the terminal's unless given.")] = "",
    language: Annotated[str, typer.Option(help="Language of the board: sv, nb, da, fi, en or de.")] = "sv",
) -> None:
    """Make a board and print its address, which is told only this once."""
    from urllib.parse import quote

    from services.chassis.failures import MustStop
    from services.survey.praise.board import Board, add_board
    from services.survey.praise.board_page import LANGUAGES

    if language not in LANGUAGES:
        raise MustStop(f"no board speaks {language!r}: give one of {', '.join(LANGUAGES)}")
    if not terminal.strip() or "/" in terminal:
        raise MustStop("a terminal's name must not be empty or hold a slash")

    async def make(connection: "Database", settings: "Settings") -> str:
        key = await add_board(connection, Board(terminal, title or terminal, language))
        host = (settings.staff_url or settings.public_url).rstrip("/")
        return f"{host}/whiteboard/{quote(terminal, safe='')}/{key}"

    print(asked("survey", make))


def list_boards() -> None:
    """List all boards by the short name that `revoke` takes."""
    from services.survey.praise import board

    rows = asked("survey", lambda c, _: board.list_boards(c))
    for row in rows:
        state = "in use" if row["revoked_at"] is None else f"revoked {row['revoked_at']:%Y-%m-%d}"
        print(f"{row['name']}  {row['language']}  {row['created_at']:%Y-%m-%d}  {state:18}  {row['terminal']}")
    if not rows:
        print("there are no boards")


def revoke(name: Annotated[str, typer.Argument(help="The short name from `kvittera boards list`.")]) -> None:
    """Make a board's address useless at once."""
    from services.chassis.failures import MustStop
    from services.survey.praise.board import revoke_board

    if not asked("survey", lambda c, _: revoke_board(c, name)):
        raise MustStop(f"no board in use is called {name!r}: see `kvittera boards list`")
    print(f"revoked {name}")
