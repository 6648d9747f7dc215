"""Charts as SVG from the server: they need no script and print well. Pure; colours come from classes of the page."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from markupsafe import Markup

from services.aggregator.statistics import Share

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps values of an axis to places of a picture; `first` of the values lies at `start`."""

    first: float
    last: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Where a value lies; what lies outside the axis is drawn at its end."""
        span = self.last - self.first
        part = (value - self.first) / span if span else 0.5
        return round(self.start + (self.end - self.start) * min(1.0, max(0.0, part)), 1)


def svg(width: float, height: float, parts: Iterable[Markup], *, label: str = "", kind: str = "chart") -> Markup:
    """A picture. With a label it is told to readers, without one it is hidden: then words stand beside it."""
    about = Markup('role="img" aria-label="{}"').format(label) if label else Markup('aria-hidden="true"')
    return Markup('<svg class="{}" viewBox="0 0 {:g} {:g}" width="{:g}" height="{:g}" {}>{}</svg>').format(
        kind, width, height, width, height, about, Markup("").join(parts)
    )


def path(kind: str, points: Sequence[Point], *, closed: bool = False) -> Markup:
    """A line through points, or the area they enclose."""
    if not points:
        return Markup("")
    way = "M" + "L".join(f"{x:g} {y:g}" for x, y in points) + ("Z" if closed else "")
    return Markup('<path class="{}" d="{}"/>').format(kind, way)


def line(kind: str, x1: float, y1: float, x2: float, y2: float) -> Markup:
    """A straight line."""
    return Markup('<path class="{}" d="M{:g} {:g}L{:g} {:g}"/>').format(kind, x1, y1, x2, y2)


def dot(kind: str, x: float, y: float, radius: float) -> Markup:
    """A dot."""
    return Markup('<circle class="{}" cx="{:g}" cy="{:g}" r="{:g}"/>').format(kind, x, y, radius)


def box(kind: str, x: float, y: float, width: float, height: float) -> Markup:
    """A rectangle."""
    return Markup('<rect class="{}" x="{:g}" y="{:g}" width="{:g}" height="{:g}"/>').format(kind, x, y, width, height)


def words(kind: str, x: float, y: float, text: str, *, anchor: str = "start") -> Markup:
    """Words in a picture."""
    return Markup('<text class="{}" x="{:g}" y="{:g}" text-anchor="{}">{}</text>').format(kind, x, y, anchor, text)


def runs(shares: Sequence[Share | None]) -> list[list[tuple[int, Share]]]:
    """Stretches of shares without a gap, each share with its place."""
    parts = groupby(enumerate(shares), key=lambda entry: entry[1] is not None)
    return [[(i, share) for i, share in of if share is not None] for known, of in parts if known]


def shares_with_interval(shares: Sequence[Share | None], x: Scale, y: Scale, *, kind: str = "") -> Markup:
    """A line through shares with their intervals as a field; months without a share leave a gap."""
    drawn: list[Markup] = []
    for run in runs(shares):
        field = [(x.at(i), y.at(s.high)) for i, s in run] + [(x.at(i), y.at(s.low)) for i, s in reversed(run)]
        drawn.append(path("field", field, closed=True))
        drawn.append(path(f"line {kind}".strip(), [(x.at(i), y.at(s.share)) for i, s in run]))
    return Markup("").join(drawn)


def interval(share: Share | None, axis: tuple[float, float], *, width: int = 196, usual: float | None = None) -> Markup:
    """An interval on a track: caps 8 high, dot of radius 4, the usual value as a dashed tick."""
    x = Scale(*axis, 5, width - 5)
    parts = [line("track", 0, 8, width, 8)]
    if usual is not None:
        parts.append(line("usual", x.at(usual), 0, x.at(usual), 16))
    if share is not None:
        low, high = x.at(share.low), x.at(share.high)
        parts += [line("whisker", low, 8, high, 8), *(line("whisker", end, 4, end, 12) for end in (low, high))]
        parts.append(dot("dot", x.at(share.share), 8, 4))
    return svg(width, 16, parts, kind="interval")


def axis_of(shares: Iterable[Share | None], step: float = 0.02) -> tuple[float, float]:
    """From where to where an axis must reach for these intervals, in whole steps and at least five of them."""
    known = [s for s in shares if s is not None]
    if not known:
        return 0.0, 1.0
    low = int(min(s.low for s in known) / step + 1e-9) * step
    high = min(1.0, -int(-max(s.high for s in known) / step - 1e-9) * step)
    high = min(1.0, max(high, low + 5 * step))
    return round(max(0.0, min(low, high - 5 * step)), 4), round(high, 4)
