"""The receipts inbox over HTTP: one address for each provider of the providers' file."""

from collections.abc import Mapping, Sequence

import asyncpg
import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from services.chassis.bounded_waiting import ANSWERED_WITHIN, within
from services.chassis.failures import Poison
from services.chassis.http import problem
from services.chassis.metrics import Metrics
from services.notifier.channels.reports import FORGED, Posted, Report, Reporting, Subscribed
from services.notifier.receipts import ReceiptsInbox

log = structlog.get_logger()
_MOST_BYTES = 1024 * 1024
"""A returned mail with its original; everything else is far smaller."""


def routes(inbox: ReceiptsInbox, reporting: Mapping[str, Reporting], metrics: Metrics) -> list[Route]:
    """`/receipts/{provider}`. Strangers learn from the answer neither which providers nor which messages there are."""

    def turned_away(provider: str, reason: str) -> Response:
        metrics.count("kvittera_receipts_total", provider=provider, result=reason)
        if reason == FORGED:
            return problem(403, "Not a report of a provider of ours")
        return problem(422, "The report cannot be read")

    async def take(request: Request) -> Response:
        provider = request.path_params["provider"]
        channel = reporting.get(provider)
        if channel is None:
            return turned_away("none", FORGED)
        body = await _body(request)
        if body is None:
            return problem(413, "The report is over 1 MiB, or ended early")
        try:
            reports = channel.reports(Posted(request.query_params, request.headers, body))
            results = await within(ANSWERED_WITHIN, _taken(inbox, provider, reports))
        except Poison as poison:
            return turned_away(provider, FORGED if poison.reason == FORGED else "unreadable")
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            log.warning("report not kept", action="refuse", provider=provider, error=type(error).__name__)
            return problem(503, "The report is not kept yet; send it again")
        for result in results:
            metrics.count("kvittera_receipts_total", provider=provider, result=result)
        return Response(status_code=204)

    async def subscribe(request: Request) -> Response:
        channel: object = reporting.get(request.path_params["provider"])
        answer = channel.challenge(request.query_params) if isinstance(channel, Subscribed) else None
        return turned_away("none", FORGED) if answer is None else PlainTextResponse(answer)

    return [
        Route("/receipts/{provider:str}", take, methods=["POST"]),
        Route("/receipts/{provider:str}", subscribe, methods=["GET"]),
    ]


async def _taken(inbox: ReceiptsInbox, provider: str, reports: Sequence[Report]) -> list[str]:
    return [await inbox.take(provider, report) for report in reports]


async def _body(request: Request) -> bytes | None:
    body = b""
    try:
        async for part in request.stream():
            body += part
            if len(body) > _MOST_BYTES:
                return None
    except ClientDisconnect:
        return None
    return body
