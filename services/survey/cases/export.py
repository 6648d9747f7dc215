"""Cases as CSV (RFC 4180). Pure."""

import csv
import io
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from services.chassis.csv_cells import defused
from services.survey.cases import words
from services.survey.cases.shown import Listed

COLUMNS: Final = (
    "number",
    "state",
    "opened_because",
    "terminal",
    "route",
    "score",
    "comment",
    "delivered_at",
    "opened_at",
    "first_due_at",
    "contacted_at",
    "resolved_at",
    "nature",
    "cause",
    "responsibility",
    "where",
    "controllable",
    "owner",
)


def as_csv(cases: Iterable[Listed]) -> str:
    """The cases with a header line, lines ended by CR LF."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for listed in cases:
        writer.writerow([defused(cell) for cell in _cells(listed)])
    return out.getvalue()


def _cells(listed: Listed) -> tuple[str, ...]:
    case = listed.case
    return (
        case.number,
        words.STATES[case.state],
        ", ".join(words.TRIGGERS[t] for t in case.opened_because),
        case.desk,
        case.delivery.route or "",
        str(case.score or ""),
        listed.comment or "",
        *map(
            _moment, (case.delivery.occurred_at, case.opened_at, case.first_due_at, case.contacted_at, case.resolved_at)
        ),
        words.NATURES[case.nature] if case.nature else "",
        words.CAUSES[case.cause] if case.cause else "",
        words.ATTRIBUTIONS[case.attribution] if case.attribution else "",
        case.place or "",
        "" if case.controllable is None else ("yes" if case.controllable else "no"),
        case.owner_name or "",
    )


def _moment(at: datetime | None) -> str:
    return at.isoformat(timespec="seconds") if at else ""
