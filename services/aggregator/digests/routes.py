"""Daily digests of terminals and shops: read from the cells, shown to staff, and said to be taken care of."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from difflib import get_close_matches
from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from services.aggregator.calendar import day_number
from services.aggregator.counting.cuts import JOINT, cut_named
from services.aggregator.digests.digest import USUAL_DAYS, Digest, as_text, digest
from services.aggregator.digests.page import page_of
from services.aggregator.figures.alerts import Alerts
from services.aggregator.figures.figures import FEWEST
from services.aggregator.figures.interventions import Ledger
from services.aggregator.figures.said import FurtherAnswers
from services.aggregator.staff.page import HEADERS
from services.aggregator.statistics.units import names_people
from services.chassis.failures import MustStop
from services.chassis.forms import first_values
from services.chassis.http import problem
from services.chassis.postgres import Database, Pool, named_sql
from services.chassis.staff.members import Gate, Role

FOR_STAFF: Final = ("/digests",)
_LONGEST_FORM: Final = 16 * 1024
_LONGEST_NOTE: Final = 400
_NEAREST, _ALIKE = 3, 0.6
_FIRST_YEAR, _LAST_YEAR = 1970, 2261  # of moments in records
_FIRST_ZONE: Final = timedelta(hours=14)  # where a day begins first


@dataclass(frozen=True, slots=True)
class Digests:
    """Reads digests, and keeps who took care of them."""

    sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.aggregator", "figures.sql"))
    said: FurtherAnswers = field(default_factory=FurtherAnswers)

    async def of(self, connection: Database, cut: str, value: str, day: date) -> Digest:
        """The digest of a unit and a day.

        Raises:
            MustStop: the cut is not known, or names people; nothing was ever counted of the value; or no delivery can
                be of that day.
        """
        _check_year(day)
        cut = await self._counted(connection, cut, value)
        number = day_number(day)
        rows = await connection.fetch(self.sql["day_counters"], cut, value, max(0, number - USUAL_DAYS), number)
        said = await self.said.in_unit(connection, cut, value, max(0, number - USUAL_DAYS), number)
        alerts = await Alerts(()).listed(connection, cut=cut, value=value, first=number, last=number)
        marked = [i for i in await Ledger().listed(connection, cut, value) if i.starts_on <= day]
        care = await connection.fetchrow(self.sql["taken_care"], cut, value, day)
        return digest(
            *(cut, value, day),
            {number - r["day"]: dict(r) for r in rows},
            fewest=FEWEST,
            said=said,
            alerts=alerts,
            interventions=marked,
            taken_care=dict(care) if care else None,
        )

    async def take_care(
        self, connection: Database, cut: str, value: str, day: date, *, who: str, note: str, now: datetime
    ) -> None:
        """Keep that somebody took care of a digest; the first one holds.

        Raises:
            MustStop: there is no such digest, as of a value that was never counted or a day that has not begun.
        """
        _check_year(day)
        if day > (now + _FIRST_ZONE).date():
            raise MustStop(f"{day} has not begun")
        cut = await self._counted(connection, cut, value)
        await connection.execute(self.sql["take_care"], cut, value, day, who, note, now)

    async def _counted(self, connection: Database, cut: str, value: str) -> str:
        """The cut's name, where something was counted of the value."""
        cut = unit_of(cut, value)
        known = [r["value"] for r in await connection.fetch(self.sql["values_of_cut"], cut, value)]
        if value not in known:
            raise MustStop(not_counted(cut, value, known))
        return cut


def unit_of(cut: str, value: str) -> str:
    """The cut's name, where digests may be made of it.

    Raises:
        MustStop: the cut is not known or names people, or no stored value looks so.
    """
    known = cut_named(cut)
    if names_people(known.properties) or "\x00" in value:
        raise MustStop("digests are made of places and shops, not of people")
    return known.name


def _check_year(day: date) -> None:
    if not _FIRST_YEAR <= day.year <= _LAST_YEAR:
        raise MustStop(f"deliveries are of the years {_FIRST_YEAR} to {_LAST_YEAR}")


def terminal_of(cut: str, value: str) -> str | None:
    """The terminal that a value of a cut lies at, however the cut is spelled; None where it names none.

    Raises:
        MustStop: the cut is not known.
    """
    return dict(zip(cut_named(cut).properties, value.split(JOINT), strict=False)).get("terminal")


def not_counted(cut: str, value: str, known: Sequence[str]) -> str:
    """What to say of a value that nothing was counted of: the known values that are written most alike."""
    folded = {name.casefold(): name for name in known}
    nearest = [folded[name] for name in get_close_matches(value.casefold(), folded, _NEAREST, _ALIKE)]
    said = f"no delivery was counted of {cut} {value!r}"
    return f"{said}; did you mean {' or '.join(nearest)}?" if nearest else said


def routes(pool: Pool, gate: Gate, now: Callable[[], datetime]) -> list[Route]:
    """`GET /digests` shows one, `POST /digests` says that it is taken care of."""
    digests = Digests()

    async def show(request: Request) -> Response:
        query = request.query_params
        try:
            day = date.fromisoformat(query.get("day", ""))
            async with pool.acquire() as connection:
                told = await digests.of(connection, query.get("cut", "terminal"), query.get("value", ""), day)
        except (ValueError, MustStop) as error:
            return problem(400, "Wrong query", str(error))
        if query.get("format") == "text":
            return Response(as_text(told), media_type="text/plain", headers=HEADERS)
        member = gate.who(request)
        secret = gate.form_secret(member) if member else None
        return Response(page_of(told, now(), form_secret=secret), media_type="text/html", headers=HEADERS)

    async def take_care(request: Request) -> Response:
        member = gate.who(request)
        if member is None:
            return gate.turn_away(request)
        form = await first_values(request, longest=_LONGEST_FORM)
        if not gate.form_is_ours(member, form.get("form_secret", "")):
            return problem(403, "This request did not come from our pages")
        cut, value, note = form.get("cut", ""), form.get("value", ""), form.get("note", "")[:_LONGEST_NOTE]
        try:
            day, terminal = date.fromisoformat(form.get("day", "")), terminal_of(cut, value)
            if not member.may(Role.AGENT, terminal):
                return problem(403, "Your role does not allow this")
            async with pool.acquire() as connection:
                await digests.take_care(
                    connection, cut, value, day, who=member.name, note=note.replace("\x00", ""), now=now()
                )
        except (ValueError, MustStop) as error:
            return problem(422, "The form cannot be read", str(error))
        onwards = urlencode({"cut": cut, "value": value, "day": day.isoformat()})
        return RedirectResponse(f"/digests?{onwards}", 303, headers={"cache-control": "no-store"})

    return [
        Route("/digests", show),
        Route("/digests", take_care, methods=["POST"]),
    ]
