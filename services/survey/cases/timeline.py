"""What happened to a case and its delivery, line by line, as the inbox tells it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from schemas.response import RatedParty
from services.survey.cases import words
from services.survey.cases.case import Case
from services.survey.cases.forms import RELABELLED_BECAUSE
from services.survey.cases.shown import Line

_BY_RECIPIENT: Final = frozenset({"answered", "answer_changed"})


@dataclass(frozen=True, slots=True)
class Moment:
    """A line of the timeline."""

    at: str
    title: str
    detail: str
    by_recipient: bool
    note: str | None = None


def timeline_of(case: Case, lines: Sequence[Line], now: datetime) -> list[Moment]:
    """The delivery, then what happened to the case, oldest first."""
    return [*_before(case, now), *(_moment(line, case, now) for line in lines)]


def _before(case: Case, now: datetime) -> list[Moment]:
    d = case.delivery
    found = []
    if d.promised_from is not None:
        window = words.promise(d)[0].partition(",")[0]
        found.append(Moment(words.moment(d.promised_from, d.zone, now), "Promised window", window, by_recipient=False))
    what = ", ".join(filter(None, (words.METHODS[d.method], d.route and f"route {d.route}", f"attempt {d.attempt}")))
    return [*found, Moment(words.moment(d.occurred_at, d.zone, now), "Delivered", what, by_recipient=False)]


def _moment(line: Line, case: Case, now: datetime) -> Moment:
    detail = line.detail or ""
    if line.what in _BY_RECIPIENT:
        detail = words.SCORES.get(int(detail), "") if detail.isdigit() else "No face chosen"
    elif line.what in {"opened", "reopened"}:
        detail = ", ".join(t.replace("_", " ").capitalize() for t in detail.split(", "))
    elif line.what == "relabelled":
        party, _, why = detail.partition(", ")
        detail = f"{words.PARTIES[RatedParty(party)]}. {RELABELLED_BECAUSE.get(why, why)}"
    elif line.what == "contact_viewed":
        detail = "The view is logged"
    told = ". ".join(filter(None, (line.by, detail)))
    at = words.moment(line.at, case.delivery.zone, now)
    return Moment(at, words.ENTRIES[line.what], told, line.what in _BY_RECIPIENT, line.note)
