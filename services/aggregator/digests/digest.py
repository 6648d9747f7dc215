"""The daily digest of a terminal or shop (S0 10): pure rendering from counters, as text and as a page of HTML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, select_autoescape

from schemas.satisfaction import SatisfactionAlert
from services.aggregator.figures.further import asked_of
from services.aggregator.figures.further_words import Row, further_rows
from services.aggregator.figures.interventions import Intervention
from services.aggregator.figures.said import Said
from services.aggregator.statistics.scores import dissatisfied, satisfied
from services.aggregator.statistics.shares import Share, difference
from services.aggregator.statistics.units import decayed

USUAL_DAYS: Final = 28
"""The day is compared with so many days before it."""
HALF_LIFE_DAYS: Final = 7.0
_TEMPLATES: Final = Path(__file__).parent / "templates"


@dataclass(frozen=True, slots=True)
class Compared:
    """A share of the day and of the days before; `verdict` is `higher`, `lower` or `no difference`."""

    day: Share
    usual: Share | None
    verdict: str


@dataclass(frozen=True, slots=True)
class Digest:
    """What happened at one unit on one day. Shares are None where fewer than the least answered."""

    cut: str
    value: str
    day: date
    answers: int | None
    scores: Sequence[int] | None
    satisfied: Compared | None
    dissatisfied: Compared | None
    lately: tuple[float, float, float] | None
    further: Sequence[Row]
    """What was asked beside the faces, on the day and the days before: of a day alone it would mostly be too few."""
    delivered: int
    asked: int
    commented: int | None
    contested: int | None
    alerts: Sequence[SatisfactionAlert]
    interventions: Sequence[Intervention]
    taken_care: Mapping[str, Any] | None


def digest(
    cut: str,
    value: str,
    day: date,
    rows: Mapping[int, Mapping[str, int]],
    *,
    fewest: int,
    said: Said = MappingProxyType({}),
    alerts: Sequence[SatisfactionAlert] = (),
    interventions: Sequence[Intervention] = (),
    taken_care: Mapping[str, Any] | None = None,
) -> Digest:
    """The digest from counters by age in days: 0 is the day itself. Shows nothing of fewer than `fewest` answers."""
    today = rows.get(0, {})
    bins = _bins(today)
    usual = [sum(c) for c in zip(*(_bins(r) for age, r in rows.items() if 0 < age <= USUAL_DAYS), strict=True)]
    usual = usual or [0] * 5
    enough = sum(bins) >= fewest
    ages = [(24.0 * age, sum(_bins(r)[3:]), sum(_bins(r))) for age, r in sorted(rows.items()) if age <= USUAL_DAYS]
    return Digest(
        cut=cut,
        value=value,
        day=day,
        answers=sum(bins) if enough or not sum(bins) else None,
        scores=bins if enough else None,
        satisfied=_compared(satisfied(bins), satisfied(usual), fewest),
        dissatisfied=_compared(dissatisfied(bins), dissatisfied(usual), fewest),
        lately=decayed(ages, 24 * HALF_LIFE_DAYS) if enough and sum(usual) >= fewest else None,
        further=further_rows(asked_of(said), None),
        delivered=today.get("delivered", 0),
        asked=today.get("asked", 0),
        commented=today.get("commented", 0) if enough else None,
        contested=today.get("contested", 0) if enough else None,
        alerts=alerts,
        interventions=interventions,
        taken_care=taken_care,
    )


def _bins(row: Mapping[str, int]) -> list[int]:
    return [row.get(f"s{n}", 0) for n in range(1, 6)]


def _compared(share: Share | None, usual: Share | None, fewest: int) -> Compared | None:
    if share is None or share.n < fewest:
        return None
    if usual is None or usual.n < fewest:
        return Compared(share, None, "no difference")
    _, low, high = difference((share.k, share.n), (usual.k, usual.n))
    verdict = "higher" if low > 0 else "lower" if high < 0 else "no difference"
    return Compared(share, usual, verdict)


def as_text(told: Digest) -> str:
    """The digest as plain text, for a message or a terminal."""
    return _template("digest.txt").render(d=told, percent=_percent).strip() + "\n"


def as_html(told: Digest) -> str:
    """The digest as a page that needs nothing else, for a message or a file."""
    return _template("digest.html").render(d=told, percent=_percent)


@cache
def _template(name: str) -> Template:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
