"""`kvittera boards add | list | revoke`: addresses of whiteboards for screens that cannot sign in."""

import asyncio
from typing import Annotated

import typer


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
    from services.chassis.postgres import open_pool
    from services.embedded.local import reachable
    from services.survey.praise.board import Board, add_board
    from services.survey.praise.board_page import LANGUAGES

    if language not in LANGUAGES:
        raise MustStop(f"no board speaks {language!r}: give one of {', '.join(LANGUAGES)}")
    if not terminal.strip() or "/" in terminal:
        raise MustStop("a terminal's name must not be empty or hold a slash")

    async def make() -> str:
        pool = await open_pool(settings, "survey")
        try:
            return await add_board(pool, Board(terminal, title or terminal, language))
        finally:
            pool.terminate()

    with reachable(postgres=True) as settings:
        key = asyncio.run(make())
    print(f"{(settings.staff_url or settings.public_url).rstrip('/')}/whiteboard/{quote(terminal, safe='')}/{key}")


def list_boards() -> None:
    """List all boards by the short name that `revoke` takes."""
    from services.chassis.postgres import open_pool
    from services.embedded.local import reachable
    from services.survey.praise import board

    async def read() -> list[str]:
        pool = await open_pool(settings, "survey")
        try:
            rows = await board.list_boards(pool)
        finally:
            pool.terminate()
        lines = []
        for row in rows:
            state = "in use" if row["revoked_at"] is None else f"revoked {row['revoked_at']:%Y-%m-%d}"
            lines.append(
                f"{row['name']}  {row['language']}  {row['created_at']:%Y-%m-%d}  {state:18}  {row['terminal']}"
            )
        return lines

    with reachable(postgres=True) as settings:
        lines = asyncio.run(read())
    print("\n".join(lines) if lines else "there are no boards")


def revoke(name: Annotated[str, typer.Argument(help="The short name from `kvittera boards list`.")]) -> None:
    """Make a board's address useless at once."""
    from services.chassis.failures import MustStop
    from services.chassis.postgres import open_pool
    from services.embedded.local import reachable
    from services.survey.praise.board import revoke_board

    async def end() -> int:
        pool = await open_pool(settings, "survey")
        try:
            return await revoke_board(pool, name)
        finally:
            pool.terminate()

    with reachable(postgres=True) as settings:
        ended = asyncio.run(end())
    if not ended:
        raise MustStop(f"no board in use is called {name!r}: see `kvittera boards list`")
    print(f"revoked {name}")
