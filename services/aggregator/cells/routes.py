"""`GET /api/cells`: counters with filters, in pages, as JSON or CSV, told only when they changed."""

import base64
import csv
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlencode

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from schemas.satisfaction import Window
from services.aggregator.cells.rows import Cells, Place, Row
from services.aggregator.counting.cuts import cut_named
from services.aggregator.counting.deltas import COLUMNS
from services.aggregator.counting.windows import window_index
from services.aggregator.figures import questions
from services.aggregator.statistics.units import names_people
from services.chassis.csv_cells import defused
from services.chassis.failures import MustStop
from services.chassis.http import NO_GUESSING, json_response, problem
from services.chassis.postgres import Pool

PATH = "/api/cells"
_MOST = 10_000
_DEFAULT = 1000
_KNOWN = ("cut", "window", "value", "from", "to", "limit", "after", "format", "questions")
_YES_OR_NO = {"false": False, "true": True}
_COLUMNS = ("cut", "value", "window", "start", "answers", *COLUMNS, "version", "as_of")


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked for; `first` and `last` are indexes of the window."""

    cut: str
    window: Window
    value: str | None
    first: int
    last: int | None
    limit: int
    after: Place | None
    form: str
    questions: bool
    """With the answers to further questions."""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Self:
        """Read it. Raises ValueError, KeyError or MustStop for what cannot be asked."""
        if unknown := query.keys() - {*_KNOWN}:
            raise KeyError(min(unknown))
        window = Window(query.get("window", "all"))
        form = query.get("format", "json")
        if form not in {"json", "csv"}:
            raise ValueError("form")
        first, last = query.get("from"), query.get("to")
        return cls(
            cut_named(query.get("cut", "total")).name,
            window,
            _stored_text(query.get("value")),
            window_index(window, first) if first is not None else 0,
            window_index(window, last) if last is not None else None,
            _limit(query.get("limit", str(_DEFAULT))),
            _place(query["after"]) if "after" in query else None,
            form,
            _YES_OR_NO[query.get("questions", "false")],
        )


@dataclass(frozen=True, slots=True)
class CellsApi:
    """Answers questions about cells."""

    pool: Pool
    cells: Cells

    async def show(self, request: Request) -> Response:
        """A page of cells by value and time; `Link: rel="next"` leads on."""
        try:
            asked = _Question.of(request.query_params)
        except MustStop as error:
            return problem(400, "Unknown cut", str(error))
        except (ValueError, KeyError, OverflowError):
            return problem(400, "Wrong query", _HELP)
        if names_people(asked.cut.split(".")):
            return of_people(asked.cut)
        return await self._page(request, asked)

    async def _page(self, request: Request, asked: _Question) -> Response:
        async with self.pool.acquire() as connection:
            shown = await self.cells.cuts(connection)
            if shown and asked.cut not in shown:
                return not_counted(shown)
            rows = await self.cells.page(
                connection,
                asked.cut,
                asked.window,
                first=asked.first,
                last=asked.last,
                value=asked.value,
                after=asked.after,
                limit=asked.limit + 1,
            )
            page, more = rows[: asked.limit], 0 < asked.limit < len(rows)
            if asked.questions:
                await self.cells.add_questions(connection, asked.window, page)
        tag = _tag(asked, page, more=more)
        headers = {"etag": tag, "cache-control": "private, no-cache", **NO_GUESSING}
        if more:
            following = f"{PATH}?{urlencode({**request.query_params, 'after': _cursor(page[-1].place)})}"
            headers["link"] = f'<{following}>; rel="next"'
        if tag in {t.strip() for t in request.headers.get("if-none-match", "").split(",")}:
            return Response(status_code=304, headers=headers)
        messages = [r.message for r in page]
        if asked.form == "csv":
            return Response(as_csv(messages, with_questions=asked.questions), media_type="text/csv", headers=headers)
        return json_response({"cells": messages, **({"next": following} if more else {})}, headers=headers)


def not_counted(shown: Sequence[str]) -> Response:
    """The refusal of a cut that is not among those that are shown."""
    return problem(404, "Not counted", f"answers are counted by {', '.join(shown)}")


def of_people(cut: str) -> Response:
    """The refusal of a cut whose values name people."""
    return problem(403, "Not told of single people", f"{cut}: drivers see their own figures at /drivers/me, alone")


def _tag(asked: _Question, page: Sequence[Row], *, more: bool) -> str:
    # Reading moves `as_of` only; what counts as changed is a cell's version, which further questions do not move.
    known = [asked.form, more, [(r.version, r.message.get("questions")) for r in page]]
    return f'W/"{hashlib.sha256(orjson.dumps(known)).hexdigest()[:32]}"'


_HELP = (
    f"known are {', '.join(_KNOWN)}; window is one of {', '.join(Window)}; from and to are local times such as 2026-10,"
    " 2026-10-13 or 2026-10-13T14:05; limit is a whole number from 0; format is json or csv; questions is"
    " true or false; after: from a page before"
)


def routes(pool: Pool) -> list[Route]:
    """The route of cells."""
    return [Route(PATH, CellsApi(pool, Cells()).show)]


def _cursor(place: Place) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(place)).decode().rstrip("=")


def _place(cursor: str) -> Place:
    told = orjson.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    match told:
        case [str(value), int(cell)] if 0 <= cell < 1 << 63:
            return str(_stored_text(value)), cell
        case _:
            raise ValueError("no cursor of ours")


def _limit(text: str) -> int:
    limit = int(text)
    if limit < 0:
        raise ValueError("a limit is not below 0")
    return min(_MOST, limit)


def _stored_text(text: str | None) -> str | None:
    if text is not None and "\x00" in text:
        raise ValueError("no stored text holds NUL")
    return text


def as_csv(rows: Sequence[dict[str, Any]], *, with_questions: bool) -> str:
    """Cells as CSV with a header line (RFC 4180); text that a spreadsheet would run is defused.

    With the answers to further questions each row has them, and the header their columns, also where no cell is.
    """
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([*_COLUMNS, *(questions.COLUMNS if with_questions else ())])
    for row in rows:
        named = {**row, **{f"s{n}": s for n, s in enumerate(row["scores"], 1)}}
        beside = questions.flat(row["questions"]) if with_questions else ()
        writer.writerow([*(csv_cell(named[c]) for c in _COLUMNS), *beside])
    return out.getvalue()


def csv_cell(value: Any) -> Any:
    """A value as it may stand in CSV."""
    return defused(value) if isinstance(value, str) else value
