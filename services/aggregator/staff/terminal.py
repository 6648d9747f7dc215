"""The page of one terminal: its last four weeks beside everything, what happened there, and where to go on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote, urlencode

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from schemas.satisfaction import SatisfactionAlert, Window
from services.aggregator.calendar import day_number
from services.aggregator.cells.rows import Cells
from services.aggregator.counting.cuts import JOINT, TOTAL, wave_cut
from services.aggregator.counting.reading import EARLY, LATE
from services.aggregator.figures import drawings
from services.aggregator.figures.alerts import Alerts
from services.aggregator.figures.drawings import Scale, axis_of
from services.aggregator.figures.figures import FEWEST
from services.aggregator.figures.further import asked_of, silence, waves_of
from services.aggregator.figures.further_words import FEW, Row, further_rows, lately_row, silence_row
from services.aggregator.figures.interventions import Ledger
from services.aggregator.figures.receipts import RECEIPTS_FROM, Receipts
from services.aggregator.figures.said import FurtherAnswers
from services.aggregator.figures.suppressions import Row as SuppressionRow
from services.aggregator.figures.suppressions import Suppressions, suppression_rows
from services.aggregator.figures.unit_figures import DAYS, Part, Unit, unit_of
from services.aggregator.figures.words import decimal, interval, percent, points, whole
from services.aggregator.staff.page import HEADERS, render
from services.aggregator.statistics import Share
from services.aggregator.statistics.scores import satisfied
from services.chassis.http import problem
from services.chassis.postgres import Database, Pool
from services.chassis.web import face

_LANGUAGE: Final = "en"
_MOST_ALERTS: Final = 10
_MOST_MARKED: Final = 10
_WIDE, _TALL = 900, 190
_UNKNOWN: Final = {
    Receipts.NONE: "How many were reached is not known: there are no receipts",
    Receipts.FEW: "How many were reached is not known: receipts tell of fewer than"
    f" {100 * RECEIPTS_FROM:.0f}\u00a0% of those asked",
    Receipts.MOST: "Receipts are still on their way",
}


@dataclass(frozen=True, slots=True)
class TerminalPages:
    """`/terminals/{name}`."""

    pool: Pool
    now: Callable[[], datetime]
    cells: Cells = field(default_factory=Cells)
    ledger: Ledger = field(default_factory=Ledger)
    alerts: Alerts = field(default_factory=lambda: Alerts(()))
    said: FurtherAnswers = field(default_factory=FurtherAnswers)
    suppressions: Suppressions = field(default_factory=Suppressions)

    def routes(self) -> list[Route]:
        """The route."""
        return [Route("/terminals/{name:str}", self.show)]

    async def show(self, request: Request) -> Response:
        """The page; 404 where nothing was counted of such a terminal."""
        name = request.path_params["name"]
        if "\x00" in name:
            return problem(404, "No such terminal")
        now = self.now()
        today = now.astimezone(UTC).date()
        first, last = day_number(today) - DAYS, day_number(today) + 1
        async with self.pool.acquire() as connection:
            days = await self.cells.of_cut(connection, "terminal", Window.DAY, first=first, last=last, value=name)
            ever = days or await self.cells.of_cut(connection, "terminal", Window.ALL, value=name)
            if not ever:
                return problem(404, "No such terminal", "Nothing was counted there.")
            methods = await self.cells.of_first(connection, "terminal.method", Window.ALL, name)
            unit = unit_of(name, days, methods, today)
            # What stands beside the unit's figures is of its days, not of all that were read to find them.
            first, last = day_number(unit.first), day_number(unit.last)
            everything = await self.cells.of_cut(connection, TOTAL, Window.DAY, first=first, last=last)
            alerts = await self.alerts.listed(connection, cut="terminal", value=name)
            listed = await self.ledger.listed(connection, "terminal", name)
            marked = [await self.ledger.told(connection, i, FEWEST) for i in listed[:_MOST_MARKED]]
            beside = further_rows(
                asked_of(await self.said.in_unit(connection, "terminal", name, first, last)),
                waves_of(await self._waves(connection, name, first, last)),
            )
            reasons = await self.suppressions.of_terminal(connection, name, unit.first, unit.last)
        not_asked = suppression_rows(reasons, unit.suppressed, unit.delivered)
        page = told(unit, _usual(everything), alerts[:_MOST_ALERTS], marked, now, beside, not_asked)
        return Response(render("terminal.html", **page), headers=HEADERS, media_type="text/html")

    async def _waves(self, connection: Database, name: str, first: int, last: int) -> list[dict[str, Any]]:
        cut = wave_cut(await self.cells.cuts(connection), "terminal")
        if cut is None:
            return []
        return [
            cell
            for wave in (EARLY, LATE)
            for cell in await self.cells.of_cut(
                connection, cut, Window.DAY, first=first, last=last, value=f"{name}{JOINT}{wave}"
            )
        ]


def _usual(cells: Sequence[dict[str, Any]]) -> Share | None:
    scores = [sum(c["scores"][i] for c in cells) for i in range(5)]
    return satisfied(scores) if sum(scores) >= FEWEST else None


def told(
    unit: Unit,
    usual: Share | None,
    alerts: Sequence[SatisfactionAlert],
    marked: Sequence[Mapping[str, Any]],
    now: datetime,
    beside: Sequence[Row] = (),
    not_asked: Sequence[SuppressionRow] = (),
) -> dict[str, Any]:
    """What the page's template fills in; `beside` are rows of further figures, `not_asked` of suppressed requests."""
    place = quote(unit.name, safe="")
    digest = urlencode({"cut": "terminal", "value": unit.name, "day": unit.last - timedelta(days=1)})
    return {
        "unit": unit,
        "fewest": FEWEST,
        "few": FEW,
        "span": f"{_day(unit.first)} to {_day(unit.last)}",
        "as_of": f"{now.astimezone(UTC):%H:%M:%S} UTC",
        "figures": _figures(unit, usual),
        "mix": _mix(unit),
        "further": [*lately_row(unit.lately), *beside, *silence_row(silence(unit.satisfied, unit.asked))],
        "not_asked": not_asked,
        "chart": _chart(unit, usual),
        "rows": [(_day(date.fromisoformat(p.name)), _said(p)) for p in reversed(unit.days)],
        "methods": [(p.name.replace("_", " "), _said(p)) for p in unit.methods],
        "alerts": [_alert(a) for a in alerts],
        "marked": [(i["what"], _day(date.fromisoformat(i["starts_on"])), _effect(i)) for i in marked],
        "links": [
            ("Live", f"/live?row={place}"),
            ("Digest of yesterday", f"/digests?{digest}"),
            ("Praise to pass on", f"/praise?terminal={place}"),
            ("Whiteboard", f"/whiteboard/{place}"),
        ],
        "comments": f"/comments/latest?terminal={place}",
    }


def _figures(unit: Unit, usual: Share | None) -> list[dict[str, Any]]:
    below = usual is not None and unit.satisfied is not None and unit.satisfied.high < usual.low
    beside = "" if usual is None else f" {_verdict(unit.satisfied, usual)}"
    return [
        _figure("Satisfied (4 or 5)", unit.satisfied, usual, beside, below=below),
        _figure("Dissatisfied (1 or 2)", unit.dissatisfied),
        _response(unit),
    ]


def _response(unit: Unit) -> dict[str, Any]:
    """Both rates: of delivered, and of reached where receipts tell of most; else of asked, which is said."""
    more = f" Of delivered {_percent(unit.response_of_delivered)}" if unit.response_of_delivered else ""
    if unit.response_of_reached:
        return _figure("Response rate, of reached", unit.response_of_reached, None, more)
    more = f"{more}." if more else ""
    return _figure("Response rate, of asked", unit.response, None, f"{more} {_UNKNOWN[unit.receipts]}")


def _figure(
    label: str, share: Share | None, usual: Share | None = None, more: str = "", *, below: bool = False
) -> dict[str, Any]:
    if share is None:
        return {"label": label, "value": "", "note": "", "drawing": "", "below": False}
    axis = axis_of([share, usual], 0.05)
    drawing = drawings.interval(share, axis, usual=usual.share if usual else None)
    note = f"{interval(share, _LANGUAGE)}, n {whole(share.n, _LANGUAGE)}.{more}"
    return {"label": label, "value": _percent(share), "note": note, "drawing": drawing, "below": below}


def _verdict(share: Share | None, usual: Share) -> str:
    value = points(usual.share, usual.n, _LANGUAGE)
    if share is None:
        return ""
    if share.high < usual.low:
        return f"Below all deliveries, {value}"
    return f"Above all deliveries, {value}" if share.low > usual.high else f"No difference from all deliveries, {value}"


def _percent(share: Share) -> str:
    return percent(share.share, share.n, _LANGUAGE)


def _mix(unit: Unit) -> list[tuple[Markup, str]]:
    if unit.scores is None or not unit.answers:
        return []
    return [(face(i, 16), percent(n / unit.answers, unit.answers, _LANGUAGE)) for i, n in enumerate(unit.scores, 1)]


def _said(part: Part) -> dict[str, str]:
    if part.satisfied is None:
        return {"value": "", "sure": "", "n": "", "few": "1" if part.hidden else ""}
    s = part.satisfied
    return {
        "value": points(s.share, s.n, _LANGUAGE),
        "sure": interval(s, _LANGUAGE),
        "n": whole(s.n, _LANGUAGE),
        "few": "",
    }


def _chart(unit: Unit, usual: Share | None) -> Markup:
    shares = [p.satisfied for p in unit.days]
    axis = axis_of([*shares, usual], 0.1)
    x, y = Scale(0, DAYS - 1, 34, _WIDE - 12), Scale(*axis, _TALL - 28, 10)
    parts = []
    for mark in range(round(axis[0] * 10), round(axis[1] * 10) + 1, 2 if axis[1] - axis[0] > 0.6 else 1):  # noqa: PLR2004
        at = y.at(mark / 10)
        parts += [
            drawings.line("grid", 34, at, _WIDE - 12, at),
            drawings.words("axis", 28, at + 4, decimal(10 * mark, 0, _LANGUAGE), anchor="end"),
        ]
    if usual is not None:
        parts.append(drawings.line("usual", 34, y.at(usual.share), _WIDE - 12, y.at(usual.share)))
    parts.append(drawings.shares_with_interval(shares, x, y))
    parts += [drawings.dot("dot", x.at(i), y.at(s.share), 2.5) for i, s in enumerate(shares) if s]
    for i in range(DAYS - 1, -1, -7):
        day = date.fromisoformat(unit.days[i].name)
        anchor = "end" if i == DAYS - 1 else "middle"
        parts.append(drawings.words("axis", x.at(i), _TALL - 8, f"{day.day} {day:%b}", anchor=anchor))
    return drawings.svg(_WIDE, _TALL, parts, label=f"Satisfied share of {unit.name} by day")


def _alert(alert: SatisfactionAlert) -> str:
    share = percent(alert.share, alert.answers, _LANGUAGE)
    expected = percent(alert.expected, alert.answers, _LANGUAGE)
    return f"{alert.start}: {share} dissatisfied since {alert.since}, expected {expected}"


def _effect(told: Mapping[str, Any]) -> str:
    """How the satisfied share moved beyond the other terminals', 28 days after beside 28 before."""
    if told["effect"] is None:
        return "Too few answers to compare yet"
    value, low, high = (_signed(x) for x in told["effect"])
    said = f"Satisfied {value} points beyond other terminals ({low} to {high})"
    return said if told["sure"] else f"{said}: no sure effect"


def _signed(share: float) -> str:
    return ("\u2212" if share < 0 else "+") + decimal(100 * abs(share), 1, _LANGUAGE)


def _day(day: date) -> str:
    return f"{day.day} {day:%B}"
