"""`kvittera cells`: print counters."""

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from services.cli.tables import asked

if TYPE_CHECKING:
    from services.chassis.postgres import Database

_IN_TABLE: Final = {"recommend": "NPS", "index": "index", "ease": "ease"}
_NO_LIMIT: Final = 100_000


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Results")(cells)


def cells(
    cut: Annotated[str, typer.Option(help="By what: total, country, terminal, method, terminal.method, ...")] = "total",
    window: Annotated[
        Literal["minute", "hour", "day", "week", "month", "all"], typer.Option(help="Over which time.")
    ] = "all",
    value: Annotated[str | None, typer.Option(help="Only this value of the cut.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many rows.", min=1, max=1_000_000_000)] = 10_000,
    questions: Annotated[bool, typer.Option(help="With the answers to further questions.")] = False,
    form: Annotated[Literal["table", "json", "csv"], typer.Option("--format", help="How to print.")] = "table",
) -> None:
    """Print live counters of a cut, a row for each value and window.

    `answers` is the sum of the five `scores`, from very dissatisfied to very satisfied. With `--questions` a table also
    tells the net promoter score, the index of ACSI form and the mean of ease, where five people and more answered them;
    JSON and CSV tell all questions. Examples:

    kvittera cells --cut terminal

    kvittera cells --cut terminal.method --window day --format csv
    """
    from services.aggregator.cells.routes import as_csv
    from services.aggregator.counting.cuts import cut_named
    from services.aggregator.statistics.units import names_people
    from services.chassis.failures import MustStop

    known = cut_named(cut)
    if names_people(known.properties):
        raise MustStop(f"cut {known.name} names single people: drivers see their own figures at /drivers/me, alone")
    rows = asked("aggregator", lambda c, _: _read(c, known.name, window, value, limit + 1, questions=questions))
    if len(rows) > limit:
        print(f"there are more rows than {limit}: raise --limit, or ask for one --value", file=sys.stderr)
        rows = rows[:limit]
    if form == "json":
        print(json.dumps(rows, ensure_ascii=False, indent=1))
    elif form == "csv":
        print(as_csv(rows, with_questions=questions), end="")
    else:
        _print_table(rows, cut, window)


async def _read(
    connection: "Database", cut: str, window: str, value: str | None, limit: int, *, questions: bool
) -> list[dict[str, Any]]:
    from schemas.satisfaction import Window
    from services.aggregator.cells.rows import Cells

    rows = await Cells().page(connection, cut, Window(window), value=value, limit=limit)
    if questions:
        await Cells().add_questions(connection, Window(window), rows)
    return [r.message for r in rows]


def _print_table(rows: list[dict[str, Any]], cut: str, window: str) -> None:
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
    more = _IN_TABLE if "questions" in rows[0] else {}
    for name in ("answers", "1", "2", "3", "4", "5", "delivered", "asked", "satisfied", *more.values()):
        table.add_column(name, justify="right")
    for row in rows:
        scores = row["scores"]
        share = f"{100 * (scores[3] + scores[4]) / sum(scores):.1f} %" if sum(scores) else "–"
        start = [str(row["start"])] if window != "all" else []
        numbers = [row["answers"], *scores, row["delivered"], row["asked"]]
        further = [_figure(row["questions"].get(name)) for name in more]
        table.add_row(escape(str(row["value"])) or "total", *start, *map(str, numbers), share, *further)
    # Each row is one line, also beyond the width of a terminal: what is cut off cannot be told apart.
    unlimited = Console(width=_NO_LIMIT)
    Console(width=unlimited.measure(table).maximum).print(table)


def _figure(told: dict[str, Any] | None) -> str:
    return f"{told['figure']['value']:.1f}" if told and told["figure"] else "–"
