"""`kvittera alerts`, `interventions`, `months`: figures that are stored beside the cells."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.cli.tables import asked

if TYPE_CHECKING:
    from services.aggregator.figures.months import Extents, Months
    from services.chassis.postgres import Database
    from services.chassis.settings import Settings

Wait = Annotated[
    float, typer.Option(help="Give records on their way so many seconds to be counted.", min=0, max=86_400)
]
AcceptWaiting = Annotated[
    bool, typer.Option("--accept-waiting", help="Go without records that are not counted yet; Kafka is not asked.")
]
_HELD_BACK = "; /quality holds its figures back: less what partners read they would tell what few people answered"


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    groups: tuple[tuple[str, str, dict[str, Callable[..., None]]], ...] = (
        ("alerts", "Alarms of the change detection.", {"list": list_alerts, "backtest": backtest}),
        ("interventions", "What was changed, with before and after.", {"add": add, "list": list_interventions}),
        ("months", "Closed months and their revisions.", {"close": close, "list": list_months, "revise": revise}),
    )
    for name, said, commands in groups:
        group = typer.Typer(no_args_is_help=True, help=said)
        for word, command in commands.items():
            group.command(word)(command)
        app.add_typer(group, name=name, rich_help_panel="Results")


def list_alerts(
    cut: Annotated[str | None, typer.Option(help="Only alarms of this cut.")] = None,
    value: Annotated[str | None, typer.Option(help="Only alarms of this value.")] = None,
) -> None:
    """List the alarms that were told, the newest first."""
    from services.aggregator.figures.alerts import Alerts

    found = asked("aggregator", lambda connection, _: Alerts(()).listed(connection, cut=cut, value=value))
    for a in found:
        print(
            f"{a.start}  {a.cut} {a.value}: {a.dissatisfied} of {a.answers} dissatisfied since {a.since}"
            f" ({100 * a.low:.1f} to {100 * a.high:.1f} %), expected {100 * a.expected:.1f} % ({a.chart})"
        )
    if not found:
        print("there are no alarms")


def backtest(
    seed: Annotated[int, typer.Option(help="The same seed gives the same numbers.")] = 1,
) -> None:
    """Simulate answers with and without shifts, and compare delays and false alarms with the design."""
    from services.aggregator.statistics import backtest as simulation

    print(f"{'':62} {'design':>10} {'found':>10}")
    for check in simulation.backtest(seed):
        print(f"{check.name:62} {'<= ' if check.at_most else '':>3}{check.design:7.2f} {check.found:10.2f}")


def add(
    what: Annotated[str, typer.Argument(help="What was changed, in words: 'evening delivery'.")],
    value: Annotated[str, typer.Option(help="Where: a value of the cut, exactly as deliveries name it.")],
    since: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="The first day.")],
    cut: Annotated[str, typer.Option(help="By what the value is counted.")] = "terminal",
    compare_to: Annotated[
        list[str] | None, typer.Option(help="A value to compare with; several times; else all.")
    ] = None,
) -> None:
    """Mark an intervention, so that before and after are compared beside other units.

    Example: `kvittera interventions add "evening delivery" --value Luleå --from 2026-05-03`
    """
    from services.aggregator.figures.interventions import Intervention, Ledger

    marked = Intervention(what, cut, value, since.date(), tuple(compare_to or ()))
    number = asked("aggregator", lambda connection, _: Ledger().add(connection, marked))
    print(f"marked as {number}")


def list_interventions() -> None:
    """List interventions with the change of the satisfied share beyond that of the comparison group, in points."""
    from services.aggregator.figures.figures import FEWEST
    from services.aggregator.figures.interventions import Ledger

    async def read(connection: "Database", _: "Settings") -> list[dict[str, Any]]:
        ledger = Ledger()
        return [await ledger.told(connection, i, FEWEST) for i in await ledger.listed(connection)]

    found = asked("aggregator", read)
    for i in found:
        effect = "too few answers yet"
        if i["effect"]:
            points = [100 * x for x in i["effect"]]
            effect = "{:+.1f} points ({:+.1f} to {:+.1f})".format(*points)
        print(f"{i['id']:4}  {i['starts_on']}  {i['what']}, {i['cut']} {i['value']}: {effect}")
    if not found:
        print("no intervention is marked")


def close(
    month: Annotated[
        str | None, typer.Argument(help="The month, like 2026-10; every one that is due unless given.")
    ] = None,
    wait: Wait = 30,
    accept_waiting: AcceptWaiting = False,
) -> None:
    """Close a month: its figures are stored and never change again.

    What the topics held when this began must be counted first.
    """

    async def act(connection: "Database", settings: "Settings") -> list[str]:
        months, now = _months(settings), datetime.now(UTC)
        due = [_number(month)] if month else list(await months.due(connection, now))
        extents = await _extents(connection, settings, wait) if due and not accept_waiting else {}
        for number in due:
            await months.close(connection, number, now, extents)
        public = [(await ClosedMonths().rows(connection, n)).month() for n in due]
        return [f"closed {month_name(m.number)}" + (_HELD_BACK if m.beside_partner else "") for m in public]

    from services.aggregator.figures.months import month_name
    from services.aggregator.quality.months import ClosedMonths

    closed = asked("aggregator", act, kafka=not accept_waiting)
    print("\n".join(closed) if closed else "no month is due")


def list_months() -> None:
    """List months with their state, revisions, and how many cells moved since."""
    found = asked("aggregator", lambda connection, settings: _months(settings).listed(connection))
    for m in found:
        print(f"{m['month']}  {m['state']}" + (f"  {m['moved']} cells moved since" if m["moved"] else ""))
        for r in m["revisions"]:
            zones = f"  (time-zone data {', '.join(r['zone_data'])})" if r["zone_data"] else ""
            print(f"    revision {r['revision']}  {r['closed_at'][:10]}  {r['reason']}{zones}")
    if not found:
        print("nothing is counted yet")


def revise(
    month: Annotated[str, typer.Argument(help="A closed month, like 2026-10.")],
    reason: Annotated[str, typer.Option(help="Why its figures change; shown beside them.")],
    wait: Wait = 30,
    accept_waiting: AcceptWaiting = False,
) -> None:
    """Store a closed month's figures anew, with the reason; what was closed before stays readable."""

    async def act(connection: "Database", settings: "Settings") -> int:
        months, number = _months(settings), _number(month)
        extents = {} if accept_waiting else await _extents(connection, settings, wait)
        return await months.revise(connection, number, reason, datetime.now(UTC), extents)

    revision = asked("aggregator", act, kafka=not accept_waiting)
    print(f"{month} has revision {revision}")


async def _extents(connection: "Database", settings: "Settings", wait: float) -> "Extents":
    """What Kafka holds now, given so many seconds to be counted."""
    from services.aggregator.history.kafka_holds import kafka_holds, wait_until_counted

    extents = (await kafka_holds(settings)).extents
    await wait_until_counted(connection, extents, wait)
    return extents


def _months(settings: "Settings") -> "Months":
    from services.aggregator.figures.months import Months

    return Months(settings.month_tolerance_days)


def _number(month: str) -> int:
    from services.aggregator.figures.months import month_number
    from services.chassis.failures import MustStop

    try:
        return month_number(month)
    except ValueError as error:
        raise MustStop(str(error)) from None
