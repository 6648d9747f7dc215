"""What the page of one unit says of its last weeks: shares by day and by method, nothing of too few. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from services.aggregator.counting.cuts import JOINT
from services.aggregator.figures.figures import FEWEST
from services.aggregator.figures.receipts import Receipts, both_rates, receipts_of
from services.aggregator.statistics import Share, share_of, to_hide
from services.aggregator.statistics.scores import dissatisfied, satisfied
from services.aggregator.statistics.units import latest

DAYS: Final = 28
_LATELY: Final = 100
Cell = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Part:
    """A day or a method of the unit. Without a share nobody or too few answered, or it hides with a neighbour."""

    name: str
    satisfied: Share | None
    hidden: bool


@dataclass(frozen=True, slots=True)
class Unit:
    """The last weeks of a unit. Without a satisfied share nobody or too few answered."""

    name: str
    first: date
    last: date
    answers: int | None
    scores: Sequence[int] | None
    satisfied: Share | None
    lately: Share | None
    """Of about the last hundred answers, in whole days; None where that is all, or would tell of too few."""
    dissatisfied: Share | None
    response: Share | None
    """Answered of those asked."""
    response_of_reached: Share | None
    """Answered of those reached; None also where receipts do not tell of most of those asked, see `receipts`."""
    response_of_delivered: Share | None
    receipts: Receipts
    delivered: int
    asked: int
    suppressed: int
    days: Sequence[Part]
    methods: Sequence[Part]


def last_day(cells: Sequence[Cell], today: date) -> date:
    """Today, or tomorrow where deliveries east of here have that date already."""
    latest = max((date.fromisoformat(c["start"]) for c in cells), default=today)
    return max(today, min(latest, today + timedelta(days=1)))


def unit_of(name: str, cells: Sequence[Cell], methods: Sequence[Cell], today: date) -> Unit:
    """The unit from its cells by day, and those of its methods, named `unit × method`."""
    last = last_day(cells, today)
    first = last - timedelta(days=DAYS - 1)
    by_day = {c["start"]: c for c in cells}
    days = [by_day.get((first + timedelta(days=i)).isoformat()) for i in range(DAYS)]
    scores = [sum(c["scores"][i] for c in days if c) for i in range(5)]
    asked, delivered, reached = (sum(c.get(n, 0) for c in days if c) for n in ("asked", "delivered", "reached"))
    answers = sum(scores)
    of_reached, of_delivered = both_rates(answers, reached, asked=asked, delivered=delivered)
    enough = answers >= FEWEST
    by_name = [(f"{first + timedelta(days=i)}", c["scores"] if c else []) for i, c in enumerate(days)]
    parts = _parts(by_name)
    return Unit(
        name=name,
        first=first,
        last=last,
        answers=answers if enough or not answers else None,
        scores=scores if enough else None,
        satisfied=satisfied(scores) if enough else None,
        lately=_lately([s for _, s in by_name], [p.hidden for p in parts]) if enough else None,
        dissatisfied=dissatisfied(scores) if enough else None,
        response=share_of(answers, asked) if enough else None,
        response_of_reached=of_reached if enough else None,
        response_of_delivered=of_delivered if enough else None,
        receipts=receipts_of(reached, asked),
        delivered=delivered,
        asked=asked,
        suppressed=sum(c["suppressed"] for c in days if c),
        days=parts,
        methods=_parts([(c["value"].split(JOINT)[-1], c["scores"]) for c in methods if c["answers"]]),
    )


def _lately(days: Sequence[Sequence[int]], hidden: Sequence[bool]) -> Share | None:
    """The last answers, newest day last; the days that are hidden must not be told apart by it."""
    counted = [(sum(s[3:]), sum(s)) for s in reversed(days)]
    share = latest(counted, _LATELY)
    if share is None or share.n == sum(n for _, n in counted):
        return None
    inside = outside = seen = 0
    for (_, n), is_hidden in zip(counted, reversed(hidden), strict=True):
        within, seen = seen < share.n, seen + n
        inside += n if is_hidden and within else 0
        outside += n if is_hidden and not within else 0
    return None if 0 < inside < FEWEST or 0 < outside < FEWEST else share


def _parts(named: Sequence[tuple[str, Sequence[int]]]) -> list[Part]:
    """Parts of one whole that is shown: as many stay hidden as it takes that none can be worked out."""
    counted = [i for i, (_, scores) in enumerate(named) if sum(scores)]
    hidden = {counted[i] for i in to_hide([sum(named[i][1]) for i in counted], FEWEST)}
    return [
        Part(name, None if i in hidden or not sum(scores) else satisfied(scores), i in hidden)
        for i, (name, scores) in enumerate(named)
    ]
