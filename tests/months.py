"""Two made-up years of closed months, the same in every run, for the public page."""

from collections.abc import Mapping
from datetime import UTC, date, datetime

from services.aggregator.figures.months import month_number
from services.aggregator.quality.complaints import Complaints
from services.aggregator.quality.figures import Quality, quality_of
from services.aggregator.quality.months import Change
from services.aggregator.quality.notes import Notes
from services.aggregator.quality.publisher import Publisher, Shelf
from services.aggregator.quality.revisions import Counted, Month, Revision, month_of
from services.aggregator.quality.weighed import weighed

SEPTEMBER = month_number("2026-09")
METHODS = {"service_point": 0.47, "parcel_locker": 0.2, "home_day": 0.18, "home_evening": 0.12, "same_day": 0.03}
_DIPS = {0: -0.012, 11: -0.02, 1: -0.005}
COMPLAINTS = Complaints(
    500_000,
    {
        ("late", "own"): 970,
        ("late", "other_operator"): 155,
        ("late", "unclear"): 110,
        ("misdelivered", "own"): 305,
        ("missing", "own"): 140,
        ("missing", "unclear"): 85,
        ("other", "own"): 235,
        ("other", "unclear"): 55,
    },
    waiting=212,
)
PUBLISHER = Publisher(
    "Nordposten Demo",
    True,
    9,
    Notes(
        breaks={month_number("2025-03"): {"sv": "en fråga per stopp, inte per paket", "en": "one question per stop"}},
        comments={
            SEPTEMBER: {"sv": "Stormen den 14 september syns i Norrland.", "en": "The storm of 14 September shows."}
        },
    ),
)
CHANGES = (Change("Kvällsleverans i fler orter", date(2026, 5, 3)),)
SHELF = Shelf((SEPTEMBER - 1, SEPTEMBER), CHANGES, COMPLAINTS)


def counted(answers: int, share: float) -> Counted:
    """Answers with so large a satisfied share; a quarter of those asked answered."""
    satisfied = round(answers * share)
    bad = (answers - satisfied) // 3
    return Counted(
        (bad // 2, bad - bad // 2, answers - satisfied - bad, satisfied // 3, satisfied - satisfied // 3),
        answers * 8,
        answers * 4,
    )


def revision(
    number: int, month: int, answers: int, *, reason: str = "closed", extra: dict[str, int] | None = None
) -> Revision:
    """A month of so many answers by method, with two methods that too few answered."""
    back = SEPTEMBER - month
    share = 0.879 - 0.0008 * back + _DIPS.get(month % 12, 0.0)
    cells = {
        ("method", m): counted(round(answers * part), share + 0.01 - 0.02 * i)
        for i, (m, part) in enumerate(METHODS.items())
    }
    for method, few in ({"home_box": 30, "in_home_code": 61} | (extra or {})).items():
        cells["method", method] = counted(few, 0.9)
    methods = list(cells.values())
    cells["total", ""] = Counted(
        tuple(sum(c.scores[i] for c in methods) for i in range(5)),
        sum(c.delivered for c in methods),
        sum(c.asked for c in methods),
        sum(c.asked for c in methods) * 97 // 100,
    )
    for terminal, part in (("Årsta", 0.6), ("Luleå", 0.4)):
        cells["terminal.method", f"{terminal} × home_day"] = counted(round(answers * part), share - 0.02 * part)
    cells["late", "false"], cells["late", "true"] = Counted((0,) * 5, 941_000, 0), Counted((0,) * 5, 59_000, 0)
    cells["disrupted", "true"], cells["disrupted", "false"] = counted(900, 0.6), counted(answers - 900, share + 0.006)
    closed_at = datetime(1970 + (month + 1) // 12, (month + 1) % 12 + 1, 10 + 8 * (number - 1), 6, tzinfo=UTC)
    return Revision(number, reason, closed_at, cells)


def two_years() -> dict[int, Month]:
    """Closed months until September 2026, the last one corrected once."""
    months = {m: month_of(m, [revision(1, m, 58_000)]) for m in range(SEPTEMBER - 23, SEPTEMBER)}
    again = revision(2, SEPTEMBER, 59_000, reason="sena svar från Gotland", extra={"home_box": 30, "in_home_code": 61})
    months[SEPTEMBER] = month_of(SEPTEMBER, [revision(1, SEPTEMBER, 50_000), again])
    return months


def cells_of(**answers: int) -> dict[tuple[str, str], Counted]:
    """Methods with so many satisfied answers each, and their sum."""
    cells = {("method", m): Counted((0, 0, 0, 0, n), n, n) for m, n in answers.items()}
    total = sum(answers.values())
    return cells | {("total", ""): Counted((0, 0, 0, 0, total), total, total)}


def quality_in(number: int, months: Mapping[int, Month]) -> Quality:
    """The figures of a month, weighed here."""
    return quality_of(number, {n: weighed(month) for n, month in months.items()})


def month_with(**answers: int) -> Quality:
    closed = revision(1, SEPTEMBER, 0).closed_at
    return quality_in(SEPTEMBER, {SEPTEMBER: month_of(SEPTEMBER, [Revision(1, "closed", closed, cells_of(**answers))])})


def asked_three(*sums: dict[int, int]) -> Month:
    """A month whose revisions differ in how often each sum of the three questions was given."""
    closed = revision(1, SEPTEMBER, 0).closed_at
    cells = cells_of(home_day=1000)
    return month_of(SEPTEMBER, [Revision(i, "late", closed, cells, of) for i, of in enumerate(sums, 1)])
