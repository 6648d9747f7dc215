"""Rows of a public file of deliveries with all that a delivery can be cut by, and every cell that must come of them.

Nothing here asks the product: cells are grouped from the rows, in plain Python.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import combinations
from zoneinfo import ZoneInfo

Row = Mapping[str, str]
Sides = tuple[str | None, str | None]
"""The value of a property for the decision about a row, and for the answer; None: it has none."""
Cell = list[int]
"""Very dissatisfied to very satisfied, delivered, asked, suppressed, opened."""
CellsOfCut = dict[tuple[str, str, str | None], Cell]
"""The cells of a cut by window, value and start."""

MODES = {"Flight": "same_day", "Ship": "service_point", "Road": "home_day"}
ZONES = {"SE": "Europe/Stockholm", "FI": "Europe/Helsinki"}
WINDOWS = ("hour", "day", "week", "month", "all")
BY_MINUTE = ("total", "terminal")
BUILT_IN_PAIRS = ("terminal.method", "terminal.reason", "terminal.wave", "merchant.method")
OF_OTHER_PAIRS = ("day", "month", "all")
"""An hour of a pair would be a row for nearly every record, and there are 190 pairs."""
_TROUBLES = {3: "damaged", 7: "claim_open"}
_DISRUPTIONS = {2: "snow-1", 5: "strike-2"}
_DENIED = "high"
_DAY = timedelta(days=1)
_RUN = timedelta(hours=3)
"""Longer than any run: an answer is given so long at most after its row was dated."""

MAPPING = """
country = { column = "country" }
zone = { column = "zone" }
occurred_at = { column = "at" }
attempt = { column = "attempt", values = { 1 = 1, 2 = 2 } }
merchant_id = { column = "Product_importance" }
route = { column = "Prior_purchases" }
driver = { column = "Customer_care_calls" }
service_point = { column = "Prior_purchases" }
postcode_prefix = { column = "Cost_of_the_Product" }
method_chosen_by_recipient = { column = "Gender", values = { F = true, M = false } }
touchpoint = { column = "Gender", values = { F = "home", M = "locker" } }
disruption = { column = "disruption" }
exceptions = { column = "trouble", values = { "" = [], damaged = ["damaged"], claim_open = ["claim_open"] } }
"""
"""What a row has beside what the demo's mapping takes, as lines of it."""
POLICY = f"""
effective_from = 1970-01-01T00:00:00Z
[merchant.{_DENIED}]
ask = "deny"
"""
"""One shop does not want its customers asked."""


def dated(rows: Sequence[Row], now: datetime) -> Iterator[dict[str, str]]:
    """Rows with a moment in the ninety days before, half of them in the last nine, and what else a delivery has."""
    for i, row in enumerate(rows):
        before = timedelta(minutes=90 + i * 977 % (90 * 24 * 60) // (1 + 9 * (i % 2)))
        # Nobody knows to the minute when a row will be answered, so none lies where that decides.
        if any(limit - _RUN < before <= limit for limit in (3 * _DAY, 5 * _DAY)):
            before += _RUN
        country = "FI" if i % 3 else "SE"
        yield {
            **row,
            "at": (now - before).isoformat(),
            "days": str(before / _DAY),
            "country": country,
            "zone": ZONES[country],
            "attempt": str(1 + i % 5 // 4),
            "trouble": _TROUBLES.get(i % 11, ""),
            "disruption": _DISRUPTIONS.get(i % 7, ""),
        }


def reason(row: Row) -> str | None:
    """Why nobody is asked about a row; None: somebody is, and answers."""
    if row["trouble"]:
        return "exception_open"
    return "merchant_denied" if row["Product_importance"] == _DENIED else None


def _of_delivery(told: Callable[[Row], str | None]) -> Callable[[Row], Sides]:
    return lambda row: (told(row), told(row))


def _wave(days: int) -> Callable[[Row], Sides]:
    return lambda row: (None, "early" if float(row["days"]) <= days else "late")


def _asked(of_decision: str, of_answer: str | None) -> Callable[[Row], Sides]:
    return lambda row: (None if reason(row) else of_decision, of_answer)


def _whether(told: Callable[[Row], bool]) -> Callable[[Row], Sides]:
    return _of_delivery(lambda row: "true" if told(row) else "false")


PROPERTIES: Mapping[str, Callable[[Row], Sides]] = {
    "carrier": _of_delivery(lambda _: "Nordposten Demo"),
    "country": _of_delivery(lambda row: row["country"]),
    "postcode_prefix": _of_delivery(lambda row: row["Cost_of_the_Product"]),
    "terminal": _of_delivery(lambda row: row["Warehouse_block"]),
    "route": _of_delivery(lambda row: row["Prior_purchases"]),
    # Others may have held what came at a second attempt, or with something wrong.
    "driver": _of_delivery(
        lambda row: row["Customer_care_calls"] if row["attempt"] == "1" and not row["trouble"] else None
    ),
    "service_point": _of_delivery(lambda row: row["Prior_purchases"]),
    "merchant": _of_delivery(lambda row: row["Product_importance"]),
    "method": _of_delivery(lambda row: MODES[row["Mode_of_Shipment"]]),
    "chosen": _whether(lambda row: row["Gender"] == "F"),
    "touchpoint": _of_delivery(lambda row: "home" if row["Gender"] == "F" else "locker"),
    "attempt": _of_delivery(lambda row: row["attempt"]),
    "late": _whether(lambda row: row["Reached.on.Time_Y.N"] == "1"),
    "disruption": _of_delivery(lambda row: row["disruption"] or None),
    "disrupted": _whether(lambda row: row["disruption"] != ""),
    "channel": _asked("email", "web"),
    "language": _asked("sv", "sv"),
    "wave": _wave(3),
    "wave_5": _wave(5),
    "reason": lambda row: (reason(row), None),
}
"""Everything that can be cut by, but for series: nobody here answers uninvited, as a machine, or about another."""

CUTS = (
    "total",
    *PROPERTIES,
    *(".".join(pair) for pair in combinations(PROPERTIES, 2)),
    "country.merchant.chosen",
    "terminal.disrupted.method.wave",
)


def cuts_file() -> str:
    """A file of all these cuts."""
    own = "".join(f"{json.dumps(cut)} = {json.dumps(windows_of(cut))}\n" for cut in CUTS)
    return f"version = 1\ncuts = {json.dumps(CUTS)}\n[windows_of]\n{own}"


def windows_of(cut: str) -> Sequence[str]:
    """The windows that a cut is counted in."""
    if cut in BY_MINUTE:
        return ("minute", *WINDOWS)
    return OF_OTHER_PAIRS if cut.count(".") == 1 and cut not in BUILT_IN_PAIRS else WINDOWS


def values_of(cut: str, row: Row) -> Sides:
    """What a row is called in a cut, as a decision and as an answer."""
    if cut == "total":
        return "", ""
    parts = [PROPERTIES[name](row) for name in cut.split(".")]
    of_decision, of_answer = ([part[side] for part in parts] for side in (0, 1))
    return _joined(of_decision), _joined(of_answer)


def _joined(values: Sequence[str | None]) -> str | None:
    known = [value for value in values if value is not None]
    return " × ".join(known) if len(known) == len(values) else None


def grouped(rows: Sequence[Row], cut: str) -> CellsOfCut:
    """The rows by one cut and all its windows."""
    found: CellsOfCut = defaultdict(lambda: [0] * 9)
    windows = windows_of(cut)
    for row in rows:
        starts = starts_of(row)
        why = reason(row)
        of_decision, of_answer = values_of(cut, row)
        for window in windows:
            if of_decision is not None:
                for place in (5, 7 if why else 6):
                    found[window, of_decision, starts[window]][place] += 1
            if of_answer is not None and not why:
                for place in (int(row["Customer_rating"]) - 1, 8):
                    found[window, of_answer, starts[window]][place] += 1
    return dict(found)


def starts_of(row: Row) -> dict[str, str | None]:
    """Where each window that holds a row begins, on the clock of its zone."""
    local = datetime.fromisoformat(row["at"]).astimezone(ZoneInfo(row["zone"]))
    return {
        "minute": f"{local:%Y-%m-%dT%H:%M}",
        "hour": f"{local:%Y-%m-%dT%H:00}",
        "day": f"{local:%Y-%m-%d}",
        "week": (local.date() - timedelta(days=local.weekday())).isoformat(),
        "month": f"{local:%Y-%m}",
        "all": None,
    }
