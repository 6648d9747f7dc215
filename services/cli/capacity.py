"""`kvittera capacity`: what a year of deliveries takes."""

from typing import Annotated

import typer


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Operation")(capacity)


def capacity(
    deliveries: Annotated[float, typer.Option(help="Deliveries a year.", min=1)] = 1e9,
    peak_day: Annotated[float, typer.Option(help="The busiest day, as a multiple of the mean day.", min=1)] = 2.5,
    peak_hour: Annotated[float, typer.Option(help="Share of a day in its busiest hour.", min=0.04, max=1)] = 0.12,
    asked: Annotated[float, typer.Option(help="Share of deliveries asked about.", min=0, max=1)] = 0.8,
    answered: Annotated[float, typer.Option(help="Share of those asked who answer.", min=0, max=1)] = 0.15,
) -> None:
    """Work out processes, partitions, disk and network for so many deliveries a year.

    The figures are arithmetic on what was measured on two shared cores (docs/scale.md), not a promise.
    """
    from services.capacity import Capacity, Demand, Measured, rows

    demand = Demand(deliveries, peak_day=peak_day, peak_hour=peak_hour, asked=asked, answered=answered)
    for what, value in rows(Capacity(demand, Measured())):
        print(f"{what:50} {value:>12}")
