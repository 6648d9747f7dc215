"""`kvittera doctor`: is this installation well?"""

import asyncio
import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer

_MARK = {"well": "[green]well[/green]", "look": "[yellow]look[/yellow]", "ill": "[red]ill[/red]"}

_WIDTH_OF_NO_TERMINAL = 160
"""As with `kubectl exec`: at 80, names of settings are broken in two."""


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Operation")(doctor)


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False) -> None:
    """Look at settings, Kafka, PostgreSQL, clocks, addresses and providers, and say what to do about each fault.

    `well` needs nothing, `look` is worth a thought before production, `ill` must be mended. Exits 1 when anything
    is ill. Changes nothing, sends no message, and shows no key to those who carry messages.
    """
    from rich.console import Console
    from rich.table import Table

    from services.doctor.examination import examine
    from services.embedded.local import reachable

    with reachable(kafka=True, postgres=True) as settings:
        findings = asyncio.run(examine(settings))
    if as_json:
        print(json.dumps([asdict(f) for f in findings], ensure_ascii=False))
    else:
        table = Table(box=None, pad_edge=False)
        for name in ("", "what", "found", "do"):
            table.add_column(name, overflow="fold")
        for f in findings:
            table.add_row(_MARK[f.verdict], f.what, f.found, f.do)
        Console(width=None if sys.stdout.isatty() else _WIDTH_OF_NO_TERMINAL).print(table)
    if any(f.verdict == "ill" for f in findings):
        raise typer.Exit(1)
