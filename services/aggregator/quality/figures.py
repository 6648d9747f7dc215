"""The figures of a month for everybody, from the counters of closed months. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from services.aggregator.figures.further import index_of_sums
from services.aggregator.figures.receipts import Receipts, both_rates, receipts_of
from services.aggregator.quality.revisions import FEWEST, METHOD, Counted, Month, Revision
from services.aggregator.quality.weighed import Waves, Weighed, waves_of
from services.aggregator.statistics import Share, share_of
from services.aggregator.statistics.means import mean_interval, smiley_index
from services.aggregator.statistics.response import (
    Weighted,
    worst_case,
)
from services.aggregator.statistics.scores import dissatisfied

MONTHS: Final = 24
SMALL_MONTHS: Final = 13
"""Small pictures reach from the same month last year to this one."""
_YEAR: Final = 12


@dataclass(frozen=True, slots=True)
class Method:
    """One way of delivery. Without a share nobody answered, or it is `hidden`: too few did, or a neighbour hides."""

    value: str
    share: Share | None
    hidden: bool
    hidden_with: tuple[str, ...]
    series: tuple[Share | None, ...]


@dataclass(frozen=True, slots=True)
class Index:
    """The mean of the faces as 0 to 100, with its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Quality:
    """Everything that the page of a month says. `too_few`: the month has fewer than fifty answers.

    `too_biased`: the share of those who answered is not told, since it may say little about the others (E17); what
    bounds it, weighs it and warns of it is.
    """

    month: Month
    too_few: bool
    too_biased: bool
    satisfied: Share | None
    dissatisfied: Share | None
    index: Index | None
    three: Index | None
    """The index of ACSI form of three questions, where enough people answered all of them."""
    in_time: Share | None
    response: Share | None
    """Answered of those asked."""
    response_of_reached: Share | None
    """Answered of those reached; None also where receipts do not tell of most of those asked, see `receipts`."""
    response_of_delivered: Share | None
    receipts: Receipts
    last_year: "Quality | None"
    series: tuple[tuple[int, Share | None], ...]
    methods: tuple[Method, ...]
    bounds: tuple[float, float] | None
    weighted: Weighted | None
    weighted_by: str
    """The cut that its strata come from."""
    undisturbed: Share | None
    """Without deliveries in a disruption, where both parts have answers enough."""
    waves: "Waves | None"
    """Early answers beside late ones, where both have answers enough."""
    reasons: Sequence[str]


def quality_of(number: int, months: Mapping[int, Weighed]) -> Quality:
    """The figures of a closed month, with the two years that end in it.

    Raises:
        KeyError: the month is not closed.
    """
    here = _figures(number, months)
    before = number - _YEAR
    return replace(here, last_year=_figures(before, months)) if before in months else here


def _figures(number: int, weighed_months: Mapping[int, Weighed]) -> Quality:
    own = weighed_months[number]
    month = own.month
    public = {n: w.month for n, w in weighed_months.items() if not w.reasons}
    cells = month.shown
    total = cells.total
    enough = total.answers >= FEWEST
    told = number in public
    of_reached, of_delivered = both_rates(total.answers, total.reached, asked=total.asked, delivered=total.delivered)
    return Quality(
        month=month,
        too_few=not enough,
        too_biased=enough and not told,
        satisfied=total.satisfied if told else None,
        dissatisfied=dissatisfied(total.scores) if told else None,
        index=_index(total.scores) if told else None,
        three=_three(cells.sums) if told else None,
        in_time=_in_time(cells),
        response=share_of(total.answers, total.asked) if enough else None,
        response_of_reached=of_reached if enough else None,
        response_of_delivered=of_delivered if enough else None,
        receipts=receipts_of(total.reached, total.asked),
        last_year=None,
        series=tuple((n, _share(public.get(n))) for n in range(number - MONTHS + 1, number + 1)),
        methods=_methods(number, {**public, number: month}) if told or not enough else (),
        bounds=_bounds(total) if enough else None,
        weighted=own.weighted,
        weighted_by=own.by,
        undisturbed=_undisturbed(cells) if told else None,
        waves=waves_of(cells),
        reasons=own.reasons,
    )


def _share(month: Month | None) -> Share | None:
    return month.shown.total.satisfied if month else None


def _index(scores: tuple[int, ...]) -> Index:
    mean, low, high = mean_interval(scores)
    return Index(smiley_index(mean), max(0.0, smiley_index(low)), min(100.0, smiley_index(high)))


def _three(sums: Mapping[int, int]) -> Index | None:
    if sum(sums.values()) < FEWEST:
        return None
    return Index(*index_of_sums([sums.get(n, 0) for n in range(3, 31)]))


def _in_time(cells: Revision) -> Share | None:
    # Deliveries, not answers: whether the promise was kept is known of each, and none of them can be told from it.
    late = cells.of_cut("late")
    kept, broken = (late[v].delivered if v in late else 0 for v in ("false", "true"))
    return share_of(kept, kept + broken) if kept + broken >= FEWEST else None


def _undisturbed(cells: Revision) -> Share | None:
    parts = cells.of_cut("disrupted")
    if set(parts) != {"true", "false"} or any(c.answers < FEWEST for c in parts.values()):
        return None
    return parts["false"].satisfied


def _bounds(total: Counted) -> tuple[float, float] | None:
    if total.answers > total.asked:
        return None
    return worst_case(total.scores[3] + total.scores[4], total.answers, total.asked)


def _methods(number: int, months: Mapping[int, Month]) -> tuple[Method, ...]:
    """The ways of delivery of a month, with those months before it that may be told."""
    shares = {n: _method_shares(months.get(n)) for n in range(number - SMALL_MONTHS + 1, number + 1)}
    now = shares[number]
    here = months[number].shown.of_cut(METHOD)
    hidden = tuple(sorted(months[number].hidden & here.keys()))
    ordered = sorted(now, key=lambda value: (now[value] is None, -here[value].answers if now[value] else 0, value))
    return tuple(
        Method(
            value,
            now[value],
            value in hidden,
            _companions(value, hidden, here),
            tuple(s.get(value) for s in shares.values()),
        )
        for value in ordered
    )


def _companions(value: str, hidden: Iterable[str], here: Mapping[str, Counted]) -> tuple[str, ...]:
    """With which others a way of delivery is hidden although it has answers enough itself."""
    if value not in hidden or here[value].answers < FEWEST:
        return ()
    return tuple(other for other in hidden if other != value)


def _method_shares(month: Month | None) -> dict[str, Share | None]:
    if month is None:
        return {}
    return {v: None if v in month.hidden else c.satisfied for v, c in sorted(month.shown.of_cut(METHOD).items())}
