"""The charts of the quality page. Pure."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

from markupsafe import Markup

from services.aggregator.calendar import first_day
from services.aggregator.figures.drawings import Scale, axis_of, box, dot, line, shares_with_interval, svg, words
from services.aggregator.figures.words import decimal, month_in_words, percent, points
from services.aggregator.quality.figures import Method, Quality
from services.aggregator.statistics import Share

_WIDE: Final = 1072
_TALL: Final = 262
_TOP: Final = 24
_FOOT: Final = 224
_YEAR: Final = 12


def axis_of_month(quality: Quality) -> tuple[float, float]:
    """From where to where the two years' axis reaches."""
    return axis_of(share for _, share in quality.series)


def two_years(
    quality: Quality, language: str, *, label: str, breaks: Mapping[int, str], changes: Sequence[tuple[int, str]]
) -> Markup:
    """Two years of the satisfied share: the line with its field, breaks, changes, last year's month hollow."""
    months = [number for number, _ in quality.series]
    shares = [share for _, share in quality.series]
    axis = axis_of_month(quality)
    x, y = Scale(0, len(months) - 1, 34, _WIDE - 52), Scale(*axis, _FOOT, _TOP)
    parts = [*_grid(axis, y, language), *_months(months, x, language)]
    parts += _parts_between_breaks(months, shares, x, y, [m for m in breaks if months[0] < m <= months[-1]])
    for month, text in breaks.items():
        if months[0] < month <= months[-1]:
            middle = (x.at(month - months[0]) + x.at(month - months[0] - 1)) / 2
            parts += [line("broken", middle, _TOP - 12, middle, _FOOT), words("", middle + 8, _TOP - 4, text)]
    for month, text in changes:
        if months[0] < month <= months[-1]:
            parts += _change(x.at(month - months[0]), text)
    parts += _marks(months, shares, x, y, language)
    return svg(_WIDE, _TALL, parts, label=label)


def _grid(axis: tuple[float, float], y: Scale, language: str) -> list[Markup]:
    step = 0.02 if axis[1] - axis[0] <= 0.14 else 0.05 if axis[1] - axis[0] <= 0.4 else 0.2  # noqa: PLR2004
    drawn, value = [], axis[0]
    while value <= axis[1] + 1e-9:
        at = y.at(value)
        drawn += [
            line("grid", 34, at, _WIDE - 52, at),
            words("axis", 26, at + 4, decimal(100 * value, 0, language), anchor="end"),
        ]
        value += step
    return drawn


def _months(months: Sequence[int], x: Scale, language: str) -> list[Markup]:
    drawn = []
    for i, month in enumerate(months):
        same = month % _YEAR == months[-1] % _YEAR
        name = month_in_words(month, language, "LLL").rstrip(".")
        drawn.append(words("here-now" if same else "axis", x.at(i), _FOOT + 18, name, anchor="middle"))
        if i == 0 or month % _YEAR == 0:
            drawn.append(words("axis", x.at(i), _FOOT + 33, str(first_day(month).year), anchor="middle"))
    return drawn


def _parts_between_breaks(
    months: Sequence[int], shares: Sequence[Share | None], x: Scale, y: Scale, breaks: Sequence[int]
) -> list[Markup]:
    """The line in pieces: what was counted otherwise is dotted and does not touch what came after."""
    last = max(breaks, default=months[0])
    drawn, edges = [], [months[0], *sorted(breaks), months[-1] + 1]
    for start, end in pairwise(edges):
        piece = [s if start <= m < end else None for m, s in zip(months, shares, strict=True)]
        drawn.append(shares_with_interval(piece, x, y, kind="older" if start < last else ""))
    return drawn


def _change(at: float, text: str) -> list[Markup]:
    left = at > _WIDE / 2
    drawn = words("changed-words", at - 8 if left else at + 8, _FOOT - 8, text, anchor="end" if left else "start")
    return [line("changed", at, _TOP + 12, at, _FOOT), drawn]


def _marks(months: Sequence[int], shares: Sequence[Share | None], x: Scale, y: Scale, language: str) -> list[Markup]:
    drawn = []
    if (before := shares[-1 - _YEAR]) is not None:
        i = len(months) - 1 - _YEAR
        drawn.append(dot("then", x.at(i), y.at(before.share), 4.5))
        value = points(before.share, before.n, language)
        drawn.append(words("here", x.at(i), y.at(before.high) - 10, value, anchor="middle"))
    if (now := shares[-1]) is not None:
        drawn.append(dot("now", x.at(len(months) - 1), y.at(now.share), 5))
        drawn.append(words("here", _WIDE - 42, y.at(now.share) + 4, points(now.share, now.n, language)))
    return drawn


def small(method: Method, axis: tuple[float, float], everything: float) -> Markup:
    """Thirteen months of one way of delivery on the scale that all small pictures share."""
    x, y = Scale(0, len(method.series) - 1, 2, 122), Scale(*axis, 58, 4)
    parts = [line("all", 0, y.at(everything), 128, y.at(everything)), shares_with_interval(method.series, x, y)]
    if method.share is not None:
        parts.append(dot("now", x.at(len(method.series) - 1), y.at(method.share.share), 3))
    return svg(128, 62, parts, kind="small")


def bounds(quality: Quality, language: str, *, raw: str, weighted: str) -> Markup:
    """All that the satisfied share could be on a bar from 0 to 100, with the raw and the weighted share."""
    assert quality.bounds is not None
    x, n = Scale(0, 1, 0, 600), quality.month.shown.total.answers
    low, high = (x.at(b) for b in quality.bounds)
    parts = [box("all-of", 0, 34, 600, 16), box("possible", low, 34, high - low, 16)]
    for at, value in ((low, quality.bounds[0]), (high, quality.bounds[1])):
        parts.append(line("end", at, 26, at, 58))
        inside = min(max(at, 24), 576)
        parts.append(words("", inside, 76, percent(value, n, language), anchor="middle"))
    told = []
    if quality.satisfied is not None:
        here = x.at(quality.satisfied.share)
        parts.append(box("raw", here - 1.5, 28, 3, 28))
        told.append((here, "raw-words", raw))
    if quality.weighted is not None:
        at = x.at(quality.weighted.share)
        parts.append(box("weighted", at - 3.5, 28, 7, 28))
        told.append((at, "here", weighted))
    # Both lie close together as a rule, so they stand in one line of words, in their order on the bar.
    told.sort()
    middle = min(max(sum(place for place, _, _ in told) / max(1, len(told)), 110), 490)
    spans = Markup(" · ").join(Markup('<tspan class="{}">{}</tspan>').format(kind, text) for _, kind, text in told)
    parts.append(words("", middle, 18, spans, anchor="middle"))
    return svg(600, 82, parts, kind="bounds")
