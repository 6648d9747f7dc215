"""`kvittera capacity`: what a year of deliveries takes."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from services.capacity.cost import Cost


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Operation")(capacity)


def capacity(
    deliveries: Annotated[float, typer.Option(help="Deliveries a year.", min=1, max=1e12)] = 1e9,
    peak_day: Annotated[
        float, typer.Option(help="The busiest day, as a multiple of the mean day.", min=1, max=366)
    ] = 2.5,
    peak_hour: Annotated[float, typer.Option(help="Share of a day in its busiest hour.", min=0.04, max=1)] = 0.12,
    asked: Annotated[float, typer.Option(help="Share of deliveries asked about.", min=0, max=1)] = 0.8,
    answered: Annotated[float, typer.Option(help="Share of those asked who answer.", min=0, max=1)] = 0.15,
    reminded: Annotated[float, typer.Option(help="Share of those asked who are reminded.", min=0, max=1)] = 0.85,
    replicas: Annotated[int, typer.Option(help="Copies of each record in Kafka.", min=1, max=9)] = 3,
    standbys: Annotated[int, typer.Option(help="Copies of PostgreSQL that follow it.", min=0, max=99)] = 1,
    core_hour: Annotated[
        float, typer.Option(help="Price of a core for an hour; 0 leaves it out.", min=0, max=1e12)
    ] = 0,
    gb_month: Annotated[float, typer.Option(help="Price of 10⁹ bytes of disk for a month.", min=0, max=1e12)] = 0,
    tb: Annotated[float, typer.Option(help="Price of 10¹² bytes over the network.", min=0, max=1e12)] = 0,
    message: Annotated[float, typer.Option(help="Price of one message.", min=0, max=1e12)] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print plain numbers as JSON, in bytes and seconds.")] = False,
) -> None:
    """Work out processes, partitions, disk, network and cost for so many deliveries a year.

    The figures are arithmetic on what was measured on two shared cores (docs/scale.md), not a promise. Prices are
    yours, in any currency: none comes with the program.
    """
    from services.capacity.cost import Cost, Prices
    from services.capacity.demand import Demand
    from services.capacity.figures import Capacity
    from services.capacity.measured import measured
    from services.capacity.told import as_dict

    demand = Demand(
        deliveries,
        peak_day=peak_day,
        peak_hour=peak_hour,
        asked=asked,
        answered=answered,
        reminded=reminded,
        replicas=replicas,
        standbys=standbys,
    )
    found = Cost(Capacity(demand, measured()), Prices(core_hour, gb_month, tb, message))
    if as_json:
        print(json.dumps(as_dict(found), ensure_ascii=False))
    else:
        _print(found)


def _print(found: "Cost") -> None:
    from services.capacity.measured import machine
    from services.capacity.told import cost_rows, count, hop_rows, rows

    for what, value in rows(found.capacity):
        print(f"{what:50} {value:>18}")
    print(f"\n{'network, both ways':50} {'busiest second':>18} {'a year':>12}")
    for what, a_second, a_year in hop_rows(found.capacity):
        print(f"{what:50} {a_second:>18} {a_year:>12}")
    print(f"\n{'cost of a year':50} {'quantity':>18} {'price':>12} {'cost':>16}")
    for what, quantity, price, cost in cost_rows(found):
        print(f"{what:50} {quantity:>18} {price:>12} {cost:>16}".rstrip())
    if found.total:
        print(f"{'together':50} {'':18} {'':12} {count(found.total):>16}")
    print(f"\nmeasured on {machine()}")
