"""What the days before say beside live numbers: small lines of two weeks, and what is usual on such a weekday. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from services.aggregator.counting.cuts import JOINT
from services.aggregator.figures.figures import FEWEST, as_json
from services.aggregator.statistics import share_of, to_hide

DAYS: Final = 14
WEEKS: Final = 8
Row = Mapping[str, Any]


def past_of(
    today: int,
    parts: Sequence[Row],
    total: Sequence[Row],
    *,
    cases: Mapping[str, int],
    by_terminal: bool,
    with_usual: bool,
    disruptions: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """The past of a scope from its counters by day; days with too few answers are left out, with a neighbour."""
    return {
        "days": small_lines(today, parts),
        "usual": usual_of(today, total) if with_usual else None,
        "open_cases": sum(cases.values()),
        "cases": dict(cases) if by_terminal else None,
        "disruptions": list(disruptions),
    }


def small_lines(today: int, parts: Sequence[Row]) -> dict[str, list[float | None]]:
    """The satisfied share of each row by day, the last one today; None where too few answered."""
    lines: dict[str, list[float | None]] = {}
    for day in range(today - DAYS + 1, today + 1):
        of_day = [r for r in parts if r["day"] == day and r["answers"]]
        hidden = to_hide([r["answers"] for r in of_day], FEWEST)
        for i, row in enumerate(of_day):
            line = lines.setdefault(row["value"].split(JOINT)[0], [None] * DAYS)
            if i not in hidden:
                line[day - today + DAYS - 1] = round(row["satisfied"] / row["answers"], 4)
    return lines


def usual_of(today: int, total: Sequence[Row]) -> dict[str, Any] | None:
    """Satisfied and dissatisfied shares of the same weekday in the eight weeks before; None of too few answers."""
    same = [r for r in total if r["day"] < today and (today - r["day"]) % 7 == 0]
    answers = sum(r["answers"] for r in same)
    if answers < FEWEST:
        return None
    return {name: as_json(share_of(sum(r[name] for r in same), answers)) for name in ("satisfied", "dissatisfied")}
