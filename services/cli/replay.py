"""`kvittera replay`: count everything again beside the live counters, or a closed month as it was, and compare."""

import asyncio
import contextlib
import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from services.aggregator.history.closed_months import MonthReplay
    from services.aggregator.history.shadow import Replay
    from services.chassis.settings import Settings

_SHOWN = 20


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Results")(replay)


def replay(
    first: Annotated[int, typer.Option("--from", help="0: from the first record that Kafka has.", min=0, max=0)] = 0,  # noqa: ARG001
    into: Annotated[Literal["shadow"], typer.Option(help="Into tables beside the live ones.")] = "shadow",  # noqa: ARG001
    month: Annotated[
        str | None, typer.Option(help="A closed month, like 2026-09: count up to where it was closed, and compare it.")
    ] = None,
    revision: Annotated[
        int | None, typer.Option(help="Of that month; the latest unless given.", min=1, max=10_000)
    ] = None,
    keep: Annotated[bool, typer.Option(help="Leave the schema aggregator_shadow to look at.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Count everything again from the topics and compare every live cell bit for bit; exit 1 if any differs.

    Nothing is sent or published, and counting goes on meanwhile. Also tells whether every record that was read was
    counted, put aside as a dead letter, or a tombstone. With `--month` the rows of a closed month are compared
    instead of the live cells, with what the topics gave when it was closed.
    """
    import uvloop

    from services.chassis.batch_memory import make_ready_for_large_batches
    from services.embedded.local import reachable

    number = _month(month, revision)
    make_ready_for_large_batches()
    # Records that are put aside are told on the way; the result stands alone on the standard output.
    with (
        reachable(kafka=True, postgres=True) as settings,
        contextlib.redirect_stdout(sys.stderr),
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        found = runner.run(_rebuild(settings, number, revision, keep=keep))
    if as_json:
        print(json.dumps({**asdict(found), "equal": found.equal}, ensure_ascii=False, default=str))
    else:
        print("\n".join(_lines(found)))
    if not found.equal:
        raise typer.Exit(1)


def _month(name: str | None, revision: int | None) -> int | None:
    from services.aggregator.figures.months import month_number
    from services.chassis.failures import MustStop

    if name is None:
        if revision is not None:
            raise MustStop("--revision is of a closed month: name it with --month")
        return None
    try:
        return month_number(name)
    except ValueError as error:
        raise MustStop(str(error)) from None


async def _rebuild(
    settings: "Settings", month: int | None, revision: int | None, *, keep: bool
) -> "Replay | MonthReplay":
    from services.aggregator.history import closed_months, shadow

    if month is None:
        return await shadow.replay(settings, keep=keep)
    return await closed_months.replay_month(settings, month, revision, keep=keep)


def _lines(found: "Replay | MonthReplay") -> list[str]:
    from services.aggregator.history.shadow import Replay

    told = _of_everything(found) if isinstance(found, Replay) else _of_a_month(found)
    lines = _differing(found) if isinstance(found, Replay) else _differing_rows(found)
    told += [f"  {line}" for line in lines[:_SHOWN]]
    if len(lines) > _SHOWN:
        told.append(f"  and {len(lines) - _SHOWN} more")
    return told


def _of_everything(found: "Replay") -> list[str]:
    told = [
        f"{'equal' if found.equal else 'NOT EQUAL'}: {found.cells} live cells, {len(found.differing)} differ",
        f"{found.said} answers to further questions, {len(found.differing_said)} differ by hour and value",
        _records(found),
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
    return told


def _of_a_month(found: "MonthReplay") -> list[str]:
    rows = found.cells + found.questions + found.complaints
    closed = f"{found.month}, revision {found.revision}, as closed at {found.closed_at:%Y-%m-%d %H:%M} UTC"
    told = [
        f"{'equal' if found.equal else 'NOT EQUAL'}: {closed}: {rows} rows compared, {len(found.differing)} differ",
        f"{found.cells} of cells, {found.questions} of answers to further questions, {found.complaints} of complaints",
        _records(found),
    ]
    if found.missing:
        told.append(
            f"Kafka does not have the first {found.missing} records any more"
            + (": a row that differs may have come from them" if found.differing else ", and no row needs them")
        )
    if found.differing and [found.zone_data] != [*found.zone_data_closed]:
        told.append(
            f"the month of a delivery by time-zone data {found.zone_data}; it was closed with"
            f" {', '.join(found.zone_data_closed) or 'versions that were not kept'}: where a zone's rules changed,"
            " months differ and nothing was lost"
        )
    return told


def _records(found: "Replay | MonthReplay") -> str:
    per_second = found.read / found.seconds if found.seconds else 0
    sorts = f"{found.counted} counted + {found.put_aside} put aside + {found.skipped} tombstones"
    return f"{found.read} records read = {sorts}; {found.seconds:.1f} s, {per_second:.0f}/s"


def _differing(found: "Replay") -> list[str]:
    return [
        *(
            f"{d.cut} {d.value!r} {d.window} {d.start or ''}: live {d.live}, from the topics {d.shadow}"
            for d in found.differing
        ),
        *(f"{d.question} {d.value}, {d.hour}: live {d.live}, from the topics {d.shadow}" for d in found.differing_said),
    ]


def _differing_rows(found: "MonthReplay") -> list[str]:
    return [f"{d.kind} {', '.join(d.where)}: closed {d.closed}, from the topics {d.counted}" for d in found.differing]
