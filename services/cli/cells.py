"""`kvittera cells`: print counters."""

import asyncio
import json
from typing import Annotated, Literal

import typer

from services.chassis.settings import Settings


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Results")(cells)


def cells(
    cut: Annotated[str, typer.Option(help="By what: total, country, terminal, method, terminal.method, ...")] = "total",
    window: Annotated[
        Literal["minute", "hour", "day", "week", "month", "all"], typer.Option(help="Over which time.")
    ] = "all",
    value: Annotated[str | None, typer.Option(help="Only this value of the cut.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many rows.", min=1)] = 10_000,
    form: Annotated[Literal["table", "json", "csv"], typer.Option("--format", help="How to print.")] = "table",
) -> None:
    """Print live counters of a cut, a row for each value and window.

    `answers` is the sum of the five `scores`, from very dissatisfied to very satisfied. Examples:

    kvittera cells --cut terminal

    kvittera cells --cut terminal.method --window day --format csv
    """
    from services.aggregator.cells.routes import as_csv
    from services.aggregator.counting.cuts import cut_named
    from services.embedded.local import reachable

    with reachable(postgres=True) as settings:
        rows = asyncio.run(_read(settings, cut_named(cut).name, window, value, limit))
    if form == "json":
        print(json.dumps(rows, ensure_ascii=False, indent=1))
    elif form == "csv":
        print(as_csv(rows), end="")
    else:
        _print_table(rows, cut, window)


async def _read(settings: Settings, cut: str, window: str, value: str | None, limit: int) -> list[dict[str, object]]:
    from schemas.satisfaction import Window
    from services.aggregator.cells.rows import Cells
    from services.chassis.postgres import tables_of

    async with tables_of(settings, "aggregator") as connection:
        return await Cells().of_cut(connection, cut, Window(window), value=value, limit=limit)


def _print_table(rows: list[dict[str, object]], cut: str, window: str) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    if not rows:
        print(f"nothing is counted by {cut} and {window} yet")
        return
    table = Table(box=None, header_style="bold")
    table.add_column(cut)
    if window != "all":
        table.add_column(window)
    for name in ("answers", "1", "2", "3", "4", "5", "delivered", "asked", "satisfied"):
        table.add_column(name, justify="right")
    for row in rows:
        scores = row["scores"]
        assert isinstance(scores, list)
        share = f"{100 * (scores[3] + scores[4]) / sum(scores):.1f} %" if sum(scores) else "–"
        start = [str(row["start"])] if window != "all" else []
        numbers = [row["answers"], *scores, row["delivered"], row["asked"]]
        table.add_row(escape(str(row["value"])) or "total", *start, *map(str, numbers), share)
    Console().print(table)
