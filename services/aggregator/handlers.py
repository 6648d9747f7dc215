"""What the aggregator does with a batch, top to bottom: keep last revisions, fold what changed, apply, tell.

Everything happens inside the fence's transaction, so that counters, revisions and the next offset are always
those of one moment (guarantee 2).
"""

import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TypeVar

from schemas.contract import without_controls
from services.aggregator.counting import COLUMNS, Change, Deltas, LocalClock, answer_deltas, decision_deltas, fold
from services.aggregator.cuts import JOINT, Cut
from services.aggregator.freshness import Freshness
from services.aggregator.reading import Counted, CountedAnswer, CountedDecision, Facts
from services.chassis.failures import Poison
from services.chassis.metrics import Metrics
from services.chassis.postgres import Database, Pool, named_sql

K = TypeVar("K", bound=Hashable)
V = TypeVar("V", CountedAnswer, CountedDecision)
_MOST_KNOWN_UNITS = 2_000_000
_NO_UNIT = 0
_MOST_FRESHNESS_SAMPLES = 100


@dataclass(slots=True)
class Units:
    """The short numbers of all units. New ones are committed at once and apart: a number is never taken back."""

    pool: Pool
    cuts: Sequence[Cut]
    _known: dict[str, dict[object, int]] = field(default_factory=dict)
    _sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.aggregator"))

    async def of(self, facts: Sequence[Facts]) -> list[list[int]]:
        """The units that each delivery counts in; a cut by something that it lacks is left out."""
        if sum(map(len, self._known.values())) > _MOST_KNOWN_UNITS:
            self._known.clear()
        # Cut by cut instead of delivery by delivery: one dictionary is asked for a whole column.
        columns = [(cut, [*map(_property_of(cut), facts)]) for cut in self.cuts]
        await self._learn([(cut, value) for cut, values in columns for value in self._unknown(cut, values)])
        numbers = [map(self._known[cut.name].__getitem__, values) for cut, values in columns]
        return [[n for n in of_one if n] for of_one in zip(*numbers, strict=True)]

    def _unknown(self, cut: Cut, values: Sequence[object]) -> set[object]:
        known = self._known.setdefault(cut.name, {})
        missing = set(values) - known.keys()
        for value in missing:
            if value is None or (isinstance(value, tuple) and None in value):
                known[value] = _NO_UNIT
        return missing - known.keys()

    async def _learn(self, missing: Sequence[tuple[Cut, object]]) -> None:
        if not missing:
            return
        named = {(cut.name, _name_of(value)): value for cut, value in missing}
        cuts, values = zip(*sorted(named), strict=True)
        _refuse_unprintable(values)
        async with self.pool.acquire() as connection:
            await connection.execute(self._sql["learn_units"], cuts, values)
            for row in await connection.fetch(self._sql["find_units"], cuts, values):
                self._known[row["cut"]][named[row["cut"], row["value"]]] = row["id"]


def _property_of(cut: Cut) -> Callable[[Facts], object]:
    """What of a delivery a cut is by: one property, a tuple of several, or nothing for all deliveries."""
    return attrgetter(*cut.properties) if cut.properties else lambda _: ()


def _name_of(value: object) -> str:
    return JOINT.join(map(_text, value)) if isinstance(value, tuple) else _text(value)


def _refuse_unprintable(values: Iterable[str]) -> None:
    try:
        for value in values:
            without_controls(value)
    except ValueError:
        raise Poison("schema", "a value that is counted by holds a control character") from None


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@dataclass(slots=True)
class CountBatch:
    """Counts a batch of answers and decisions exactly once."""

    units: Units
    metrics: Metrics
    touched: Callable[[], None]
    now: Callable[[], float] = time.time
    freshness: Freshness = field(default_factory=Freshness)
    _clock: LocalClock = field(default_factory=LocalClock)
    _sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.aggregator"))

    async def __call__(self, connection: Database, counted: list[Counted]) -> None:
        """Count what is new in the batch; what was counted before, in this or a higher revision, is not."""
        answers = _latest((a.response_id, a) for a in counted if isinstance(a, CountedAnswer))
        decisions = _latest(((d.delivery.delivery_id, d.kind), d) for d in counted if isinstance(d, CountedDecision))
        changes = [
            *await self._keep_answers(connection, answers),
            *await self._keep_decisions(connection, decisions),
        ]
        deltas = fold(changes)
        if len(deltas.cells):
            await self._apply(connection, deltas)
        self._watch_freshness(answers)
        self.touched()

    async def _keep_answers(self, connection: Database, answers: Sequence[CountedAnswer]) -> list[Change]:
        if not answers:
            return []
        units = await self.units.of([a.delivery for a in answers])
        await connection.copy_records_to_table(
            "incoming_answer",
            records=[
                (a.response_id, a.revision, a.score, a.commented, a.contested, a.apart, self._hour(a.delivery), u)
                for a, u in zip(answers, units, strict=True)
            ],
        )
        rows = await connection.fetch(self._sql["keep_answers"])
        return [
            Change(
                r["units"],
                r["local_hour"],
                answer_deltas(
                    None if r["first"] else (r["old_score"], r["old_commented"], r["old_contested"], r["old_apart"]),
                    (r["score"], r["commented"], r["contested"], r["apart"]),
                ),
            )
            for r in rows
        ]

    async def _keep_decisions(self, connection: Database, decisions: Sequence[CountedDecision]) -> list[Change]:
        if not decisions:
            return []
        units = await self.units.of([d.delivery for d in decisions])
        await connection.copy_records_to_table(
            "incoming_decision",
            records=[
                (d.delivery.delivery_id, d.kind, d.revision, d.outcome, self._hour(d.delivery), u)
                for d, u in zip(decisions, units, strict=True)
            ],
        )
        rows = await connection.fetch(self._sql["keep_decisions"])
        return [Change(r["units"], r["local_hour"], decision_deltas(r["old_outcome"], r["outcome"])) for r in rows]

    async def _apply(self, connection: Database, deltas: Deltas) -> None:
        rows = zip(deltas.cells.tolist(), deltas.amounts.tolist(), strict=True)
        await connection.copy_records_to_table(
            "incoming_cell",
            records=[(cell, 1, *amounts) for cell, amounts in rows],
            columns=["cell", "version", *COLUMNS],
        )
        await connection.execute(self._sql["apply_deltas"])
        await connection.execute(self._sql["touch"], deltas.cells.tolist())

    def _hour(self, facts: Facts) -> int:
        try:
            return self._clock.hour(facts.occurred_at, facts.zone)
        except (KeyError, ValueError, OSError):
            # OSError: a folder of the zone database, such as "Europe"; it is no passing trouble.
            raise Poison("schema", "the zone is not known") from None

    def _watch_freshness(self, answers: Sequence[CountedAnswer]) -> None:
        now = self.now()
        ages = [max(0.0, now - a.recorded_at.timestamp()) for a in answers[-_MOST_FRESHNESS_SAMPLES:]]
        for age in ages:
            self.metrics.observe("kvittera_freshness_seconds", age)
        self.freshness.add(now, ages)


def _latest(keyed: Iterable[tuple[K, V]]) -> list[V]:
    """Of each thing the highest revision in the batch; one statement may touch a row only once."""
    best: dict[K, V] = {}
    for key, value in keyed:
        if key not in best or best[key].revision < value.revision:
            best[key] = value
    return list(best.values())
