"""Cases as CSV (RFC 4180) that no spreadsheet runs (security row 14). Pure."""

import csv
import io
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from services.survey.cases import words
from services.survey.cases.shown import Listed

_RUN_BY_SPREADSHEETS: Final = frozenset("=+-@＝＋－＠\t\r\n|%")
_WRAPPINGS: Final = " \"'\u00a0\ufeff\u200b"
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
    """Return the cases with a header line, lines ended by CR LF."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for listed in cases:
        writer.writerow([defused(cell) for cell in _cells(listed)])
    return out.getvalue()


def defused(text: str) -> str:
    """Return the text so that a spreadsheet shows it and never runs it, without NUL, which no CSV can hold."""
    kept = text.replace("\x00", "")
    first = kept.lstrip(_WRAPPINGS)[:1]
    return f"'{kept}" if first in _RUN_BY_SPREADSHEETS and first else kept


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
