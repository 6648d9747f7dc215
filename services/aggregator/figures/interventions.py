"""The ledger of interventions (E19): what was changed where and when; before and after beside a comparison group."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from services.aggregator.calendar import day_number
from services.aggregator.counting.cuts import cut_named
from services.aggregator.statistics.shares import apart, difference, share_of
from services.aggregator.statistics.units import names_people
from services.chassis.failures import MustStop
from services.chassis.postgres import Database, named_sql

DAYS = 28
"""Before and after are so many days each, unless told."""
Counted = tuple[int, int]
"""Satisfied and all answers."""


@dataclass(frozen=True, slots=True)
class Intervention:
    """`what` was changed for one value of a cut from a day on; compared with other values, or with all others."""

    what: str
    cut: str
    value: str
    starts_on: date
    compare_to: Sequence[str] = ()
    number: int = 0


@dataclass(frozen=True, slots=True)
class Effect:
    """How much the satisfied share changed beyond the comparison group's change; interval of 95 %."""

    change: tuple[float, float, float]
    usual_change: tuple[float, float, float]
    effect: tuple[float, float, float]

    @property
    def sure(self) -> bool:
        """Whether the interval of the effect leaves out 0."""
        return self.effect[1] * self.effect[2] > 0


def effect_of(before: Counted, after: Counted, others_before: Counted, others_after: Counted) -> Effect | None:
    """Difference in differences of satisfied shares; None where a side has no answers.

    Its interval is that of the difference of two independent Newcombe differences (MOVER). It shows an effect
    of the intervention only if both groups would otherwise have moved alike.
    """
    if not all(n for _, n in (before, after, others_before, others_after)):
        return None
    change, usual = difference(after, before), difference(others_after, others_before)
    return Effect(change, usual, apart(change, usual))


def split(rows: Sequence[Mapping[str, Any]], value: str, compare_to: Sequence[str]) -> tuple[Counted, Counted]:
    """The counters of the treated value, and those of its comparison group added up."""
    others = [r for r in rows if r["value"] != value and (not compare_to or r["value"] in compare_to)]
    own = [r for r in rows if r["value"] == value]
    return _added(own), _added(others)


def _added(rows: Sequence[Mapping[str, Any]]) -> Counted:
    return sum(int(r["satisfied"]) for r in rows), sum(int(r["answers"]) for r in rows)


@dataclass(frozen=True, slots=True)
class Ledger:
    """The stored interventions and their figures."""

    sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.aggregator", "figures.sql"))

    async def add(self, connection: Database, intervention: Intervention) -> int:
        """Mark an intervention; returns its number.

        Raises:
            MustStop: it is marked already, compares with itself, or would judge people.
        """
        i = intervention
        if names_people(cut_named(i.cut).properties):
            raise MustStop(f"{i.cut}: people are not compared")
        if not i.what.strip() or i.value in i.compare_to:
            raise MustStop("an intervention has a name, and is compared with others")
        number = await connection.fetchval(
            self.sql["add_intervention"], *(i.what, cut_named(i.cut).name, i.value, i.starts_on, list(i.compare_to))
        )
        if number is None:
            raise MustStop(f"{i.what!r} is marked already for {i.value} from {i.starts_on}")
        return int(number)

    async def listed(
        self, connection: Database, cut: str | None = None, value: str | None = None
    ) -> list[Intervention]:
        """All interventions, the latest first."""
        rows = await connection.fetch(self.sql["list_interventions"], cut, value)
        return [
            Intervention(r["what"], r["cut"], r["value"], r["starts_on"], tuple(r["compare_to"]), r["id"]) for r in rows
        ]

    async def told(
        self, connection: Database, intervention: Intervention, fewest: int, days: int = DAYS
    ) -> dict[str, Any]:
        """An intervention with its figures, as the API tells it; nothing of fewer than `fewest` answers."""
        i = intervention
        first = day_number(i.starts_on)
        before = split(await self._between(connection, i.cut, first - days, first - 1), i.value, i.compare_to)
        after = split(await self._between(connection, i.cut, first, first + days - 1), i.value, i.compare_to)
        sides = {
            "before": before[0],
            "after": after[0],
            "others_before": before[1],
            "others_after": after[1],
        }
        enough = all(n >= fewest for _, n in sides.values())
        effect = effect_of(*sides.values()) if enough else None
        return {
            "id": i.number,
            "what": i.what,
            "cut": i.cut,
            "value": i.value,
            "starts_on": i.starts_on.isoformat(),
            "ends_on": (i.starts_on + timedelta(days=days - 1)).isoformat(),
            "compare_to": list(i.compare_to),
            "too_few": not enough,
            **{name: _side(side) if enough else None for name, side in sides.items()},
            "change": effect and list(effect.change),
            "usual_change": effect and list(effect.usual_change),
            "effect": effect and list(effect.effect),
            "sure": effect is not None and effect.sure,
        }

    async def _between(self, connection: Database, cut: str, first: int, last: int) -> list[Any]:
        return list(await connection.fetch(self.sql["satisfied_around"], cut, first, last))


def _side(counted: Counted) -> dict[str, float] | None:
    share = share_of(*counted)
    if share is None:
        return None
    return {"share": share.share, "low": share.low, "high": share.high, "answers": share.n}
