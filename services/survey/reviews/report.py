"""Whether offers of a public review depend on the score: a proof from what is stored (guarantee 9)."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from services.chassis.postgres import Database, named_sql
from services.chassis.sealing import Seal
from services.survey.reviews.offer import sampling_draw

_SCORES = (1, 2, 3, 4, 5)
_SUSPICIOUS = 0.001
_LEAST_EXPECTED = 5.0

Table = tuple[tuple[int, ...], tuple[int, ...]]
"""Answers with score 1 to 5, not offered and offered."""


class Stratum(NamedTuple):
    """Offers that were decided alike: only within such a group may shares be compared."""

    policy: str
    survey: str | None
    rate: float


@dataclass(frozen=True, slots=True)
class Report:
    """What was found.

    Attributes:
        offers: stored offers that were decided again from the key.
        differing: those for which the draw says otherwise than what is stored.
        table: all strata together, for people to look at.
        p_value: how often chance alone gives a difference like this; None where there is nothing to compare.
        thin: some expected number is under 5, so the p-value is rough.
    """

    offers: int
    differing: int
    table: Table
    p_value: float | None
    thin: bool

    @property
    def sound(self) -> bool:
        """Whether nothing speaks against independence."""
        return self.differing == 0 and (self.p_value is None or self.p_value >= _SUSPICIOUS)

    def lines(self) -> list[str]:
        """For people."""
        told = [f"{'':12}" + "".join(f"{score:>9}" for score in _SCORES)]
        told += [
            f"{name:12}" + "".join(f"{n:>9}" for n in row)
            for name, row in zip(("not offered", "offered"), self.table, strict=True)
        ]
        told.append(f"{self.offers} offers decided again from the key, {self.differing} differ from what is stored")
        return [*told, self._verdict()]

    def _verdict(self) -> str:
        if self.differing:
            return "NOT SOUND: stored offers are not what the draw gives; somebody changed them or the key"
        if self.p_value is None:
            return "sound: every group of invitations was offered a review to all or to none, so no score can matter"
        p = f"p = {self.p_value:.4f}" + (", rough: few answers" if self.thin else "")
        if self.p_value < _SUSPICIOUS:
            return f"NOT SOUND: offers and scores go together more than chance explains ({p})"
        return f"sound: nothing says that the offer depends on the score ({p})"


async def make_report(connection: Database, seal: Seal) -> Report:
    """Read all offers and answers of the survey's schema and judge them."""
    sql = named_sql("services.survey", "reviews.sql")
    offers = differing = 0
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        async for row in connection.cursor(sql["offers"], prefetch=5000):
            offers += 1
            # A policy may leave a survey version out, so an offer needs the draw, and its lack needs no reason.
            drawn = sampling_draw(seal, str(row["invitation_id"])) < row["rate"]
            differing += row["offered"] and not drawn
        rows = await connection.fetch(sql["offers_by_score"])
    counts: dict[Stratum, list[list[int]]] = defaultdict(lambda: [[0] * 5, [0] * 5])
    for row in rows:
        counts[Stratum(row["policy"], row["survey"], row["rate"])][row["offered"]][row["score"] - 1] += row["n"]
    return judge(offers, differing, {s: (tuple(t[0]), tuple(t[1])) for s, t in counts.items()})


def judge(offers: int, differing: int, strata: Mapping[Stratum, Table]) -> Report:
    """Pearson's chi-squared over 2 x 5 tables, summed over the strata with their degrees of freedom."""
    parts = [chi_squared(table) for table in strata.values()]
    statistic, freedom = sum(p[0] for p in parts), sum(p[1] for p in parts)
    total = tuple(tuple(sum(t[row][i] for t in strata.values()) for i in range(5)) for row in (0, 1))
    return Report(
        offers,
        differing,
        (total[0], total[1]),
        chi_squared_tail(statistic, freedom) if freedom else None,
        any(p[2] < _LEAST_EXPECTED for p in parts if p[1]),
    )


def chi_squared(table: Table) -> tuple[float, int, float]:
    """Statistic, degrees of freedom and the least expected number; columns and rows without answers do not count."""
    rows = [r for r in table if sum(r)]
    columns = [c for c in zip(*rows, strict=True) if sum(c)]
    total = sum(map(sum, columns))
    freedom = (len(rows) - 1) * (len(columns) - 1)
    if freedom <= 0:
        return 0.0, 0, math.inf
    sums = [sum(r) for r in rows]
    cells = [(n, sums[i] * sum(c) / total) for c in columns for i, n in enumerate(c)]
    return sum((n - e) ** 2 / e for n, e in cells), freedom, min(e for _, e in cells)


def chi_squared_tail(x: float, freedom: int) -> float:
    """The chance of a chi-squared value of at least `x`: a finite sum for whole degrees of freedom."""
    half = x / 2
    if half <= 0:
        return 1.0
    if freedom % 2 == 0:
        return _terms(half, range(freedom // 2), 0.0)
    return math.erfc(math.sqrt(half)) + _terms(half, range((freedom - 1) // 2), 0.5)


def _terms(half: float, steps: Iterable[int], shift: float) -> float:
    # In logarithms: with hundreds of degrees of freedom the powers and factorials are beyond what a float holds.
    log_half = math.log(half)
    return math.fsum(math.exp((k + shift) * log_half - math.lgamma(k + shift + 1) - half) for k in steps)
