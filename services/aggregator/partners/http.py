"""What a partner reads over HTTP: its own published cells, by its key, and nothing else."""

import csv
import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.aggregator.cells.routes import csv_cell
from services.aggregator.partners.partners import Partners
from services.chassis.http import NO_GUESSING, problem
from services.chassis.postgres import Pool, named_sql

_MOST = 1000
_COLUMNS = ("cut", "value", "grouped_units", "window", "start", "answers", "s1", "s2", "s3", "s4", "s5", "as_of")
_BEFORE_ALL = ""
PATH = "/api/partner/cells"


@dataclass(frozen=True, slots=True)
class PartnerApi:
    """Serves the stored snapshot; no number is worked out here."""

    pool: Pool
    partners: Partners = field(default_factory=Partners)
    sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.aggregator", "partners.sql"))

    async def show(self, request: Request) -> Response:
        """The cells of the key's partner, by key, in pages."""
        query = request.query_params
        after, limit, form = (
            query.get("after", _BEFORE_ALL),
            query.get("limit", str(_MOST)),
            query.get("format", "json"),
        )
        if not limit.isascii() or not limit.isdigit() or form not in {"json", "csv"} or "\x00" in after:
            return problem(400, "Wrong query", "limit is a whole number from 1, format is json or csv")
        most = min(_MOST, max(1, int(limit[:9])))
        scheme, _, text = request.headers.get("authorization", "").partition(" ")
        async with (
            self.pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            partner = await self.partners.holding(connection, text.strip()) if scheme.lower() == "bearer" else None
            if partner is None:
                refused = problem(401, "This key is not valid")
                refused.headers["www-authenticate"] = "Bearer"
                return refused
            rows = await connection.fetch(self.sql["page"], partner.view.partner, after, most + 1)
        page, more = rows[:most], len(rows) > most
        tag = _tag(form, [(r["key"], r["version"]) for r in page], more=more)
        headers = {"etag": tag, "cache-control": "private, no-cache", "vary": "authorization", **NO_GUESSING}
        if more:
            target = urlencode({"after": page[-1]["key"], "limit": most, "format": form})
            headers["link"] = f'<{PATH}?{target}>; rel="next"'
        if tag in {t.strip().removeprefix("W/") for t in request.headers.get("if-none-match", "").split(",")}:
            return Response(status_code=304, headers=headers)
        values = [r["value"] for r in page]
        if form == "csv":
            return Response(_csv(values), media_type="text/csv", headers=headers)
        # The stored bytes, exactly as on the topic.
        return Response(b'{"cells":[' + b",".join(values) + b"]}", media_type="application/json", headers=headers)


def _tag(form: str, rows: list[tuple[str, int]], *, more: bool) -> str:
    return f'"{hashlib.sha256(orjson.dumps([form, rows, more])).hexdigest()[:32]}"'


def _csv(values: list[bytes]) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(_COLUMNS)
    for value in values:
        cell = orjson.loads(value)
        flat = {**cell, **{f"s{n}": s for n, s in enumerate(cell["scores"], 1)}}
        writer.writerow([csv_cell(flat[c]) for c in _COLUMNS])
    return out.getvalue()


def routes(pool: Pool) -> list[Route]:
    """The partners' route."""
    return [Route(PATH, PartnerApi(pool).show)]
