"""`kvittera audit`: prove the counters."""

import asyncio
import json
from typing import Annotated

import typer


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Results")(audit)


def audit(
    wait: Annotated[float, typer.Option(help="Give answers on their way so many seconds to arrive.", min=0)] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Prove that nothing is lost and nothing counted twice; exit 1 with what differs otherwise.

    Compares, in one snapshot each: the counters with a fold of all counted answers and decisions, and the
    counted answers with those that the survey service acknowledged.
    """
    from services.audit import run_audit
    from services.embedded.local import reachable

    with reachable(postgres=True) as settings:
        result = asyncio.run(run_audit(settings, wait))
    if as_json:
        print(json.dumps(result.as_dict(), ensure_ascii=False))
    else:
        for line in result.lines():
            print(line)
    if not result.clean:
        raise typer.Exit(1)
