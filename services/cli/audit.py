"""`kvittera audit`: prove the counters."""

import asyncio
import json
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from services.audit import Audit


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Results")(audit)


def audit(
    wait: Annotated[
        float, typer.Option(help="Give answers on their way so many seconds to arrive.", min=0, max=86_400)
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Prove that nothing is lost and nothing counted twice; exit 1 with what differs otherwise.

    Compares, in one snapshot each: the counters with a fold of all counted answers and decisions, and the
    counted answers with those that the survey service acknowledged. When it ended and how much differed is kept for
    the alerts.
    """
    from services.audit import keep_result, run_audit
    from services.embedded.local import reachable

    with reachable(postgres=True) as settings:
        result = asyncio.run(run_audit(settings, wait))
        _show(result, as_json=as_json)
        asyncio.run(keep_result(settings, result))
    if not result.clean:
        raise typer.Exit(1)


def _show(result: "Audit", *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(result.as_dict(), ensure_ascii=False))
        return
    for line in result.lines():
        print(line)
