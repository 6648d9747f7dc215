"""`kvittera replay`: count everything again beside the live counters, and compare."""

import asyncio
import contextlib
import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from services.aggregator.history.shadow import Replay

_SHOWN = 20


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Results")(replay)


def replay(
    first: Annotated[int, typer.Option("--from", help="0: from the first record that Kafka has.", min=0, max=0)] = 0,  # noqa: ARG001
    into: Annotated[Literal["shadow"], typer.Option(help="Into tables beside the live ones.")] = "shadow",  # noqa: ARG001
    keep: Annotated[bool, typer.Option(help="Leave the schema aggregator_shadow to look at.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Count everything again from the topics and compare every live cell bit for bit; exit 1 if any differs.

    Nothing is sent or published, and counting goes on meanwhile. Also tells whether every record that was read was
    counted, put aside as a dead letter, or a tombstone.
    """
    import uvloop

    from services.aggregator.history.shadow import replay as rebuild
    from services.chassis.batch_memory import make_ready_for_large_batches
    from services.embedded.local import reachable

    make_ready_for_large_batches()
    # Records that are put aside are told on the way; the result stands alone on the standard output.
    with (
        reachable(kafka=True, postgres=True) as settings,
        contextlib.redirect_stdout(sys.stderr),
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        found = runner.run(rebuild(settings, keep=keep))
    if as_json:
        print(json.dumps({**asdict(found), "equal": found.equal}, ensure_ascii=False))
    else:
        print("\n".join(_lines(found)))
    if not found.equal:
        raise typer.Exit(1)


def _lines(found: "Replay") -> list[str]:
    per_second = found.read / found.seconds if found.seconds else 0
    sorts = f"{found.counted} counted + {found.put_aside} put aside + {found.skipped} tombstones"
    told = [
        f"{'equal' if found.equal else 'NOT EQUAL'}: {found.cells} live cells, {len(found.differing)} differ",
        f"{found.said} answers to further questions, {len(found.differing_said)} differ by hour and value",
        f"{found.read} records read = {sorts}; {found.seconds:.1f} s, {per_second:.0f}/s",
    ]
    if found.missing:
        told.append(
            f"Kafka does not have the first {found.missing} records any more: what they counted is live only, and"
            " `kvittera republish` brings back what the outboxes still have"
        )
    if [found.zone_data] != [*found.zone_data_live]:
        told.append(
            f"hours by time-zone data {found.zone_data}; the live counters have theirs by"
            f" {', '.join(found.zone_data_live) or 'versions that were not kept'}: where a zone's rules changed, hours"
            " differ and nothing was lost"
        )
    lines = [
        *(
            f"{d.cut} {d.value!r} {d.window} {d.start or ''}: live {d.live}, from the topics {d.shadow}"
            for d in found.differing
        ),
        *(f"{d.question} {d.value}, {d.hour}: live {d.live}, from the topics {d.shadow}" for d in found.differing_said),
    ]
    told += [f"  {line}" for line in lines[:_SHOWN]]
    if len(lines) > _SHOWN:
        told.append(f"  and {len(lines) - _SHOWN} more")
    return told
