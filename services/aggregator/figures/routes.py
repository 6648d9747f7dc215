"""Alarms, interventions and months over HTTP, for pages and programs of staff."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.aggregator.cells.routes import not_counted, of_people
from services.aggregator.cells.rows import Cells
from services.aggregator.counting.cuts import cut_named
from services.aggregator.figures.alerts import Alerts
from services.aggregator.figures.figures import FEWEST
from services.aggregator.figures.interventions import Ledger
from services.aggregator.figures.months import Months, month_number
from services.aggregator.statistics.units import names_people
from services.chassis.failures import MustStop
from services.chassis.http import json_response, problem
from services.chassis.postgres import Pool
from services.chassis.settings import Settings

FOR_STAFF = ("/api/alerts", "/api/interventions", "/api/months")
_NOT_KEPT = {"cache-control": "no-store"}


def routes(pool: Pool, settings: Settings) -> list[Route]:
    """All routes of figures that are stored beside the cells."""
    alerts, ledger, months, cells = Alerts(()), Ledger(), Months(settings.month_tolerance_days), Cells()

    async def show_alerts(request: Request) -> Response:
        query = request.query_params
        if any("\x00" in text for text in query.values()):
            return problem(400, "Wrong query", "no stored text holds NUL")
        async with pool.acquire() as connection:
            found = await alerts.listed(connection, cut=query.get("cut"), value=query.get("value"))
        told = [a.model_dump(mode="json", exclude_none=True) for a in found]
        return json_response({"alerts": told}, headers=_NOT_KEPT)

    async def show_interventions(_: Request) -> Response:
        async with pool.acquire() as connection:
            told = [await ledger.told(connection, i, FEWEST) for i in await ledger.listed(connection)]
        return json_response({"interventions": told}, headers=_NOT_KEPT)

    async def show_months(_: Request) -> Response:
        async with pool.acquire() as connection:
            return json_response({"months": await months.listed(connection)}, headers=_NOT_KEPT)

    async def show_month(request: Request) -> Response:
        try:
            month = month_number(request.path_params["month"])
            cut = cut_named(request.query_params.get("cut", "total"))
        except ValueError as error:
            return problem(404, "No such month", str(error))
        except MustStop as error:
            return problem(400, "Unknown cut", str(error))
        if names_people(cut.properties):
            return of_people(cut.name)
        async with pool.acquire() as connection:
            told = await months.figures(connection, month, cut.name)
            shown = await cells.cuts(connection)
        # A month that was closed by a cut is told of it also when the cut is counted no more.
        if not told["cells"] and shown and cut.name not in shown:
            return not_counted(shown)
        return json_response(told, headers=_NOT_KEPT)

    return [
        Route("/api/alerts", show_alerts),
        Route("/api/interventions", show_interventions),
        Route("/api/months", show_months),
        Route("/api/months/{month:str}", show_month),
    ]
