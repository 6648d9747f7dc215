"""What the aggregator does with a batch, top to bottom: keep last revisions, fold what changed, apply, tell.

Everything happens inside the fence's transaction, so that counters, revisions and the next offset are always
those of one moment (guarantee 2).
"""

import functools
import time
import uuid
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import asyncpg

from services.aggregator.counting.deltas import (
    Change,
    LocalClock,
    Twins,
    answer_changes,
    answer_deltas,
    decision_deltas,
    fold,
    opened_no_more,
)
from services.aggregator.counting.freshness import Freshness
from services.aggregator.counting.reading import Counted, CountedAnswer, CountedDecision, Facts
from services.aggregator.counting.stored_cells import add_to_cells
from services.aggregator.counting.units import Units
from services.aggregator.counting.windows import Int64
from services.chassis.failures import Poison
from services.chassis.metrics import Metrics
from services.chassis.postgres import Database, named_sql

K = TypeVar("K", bound=Hashable)
V = TypeVar("V", CountedAnswer, CountedDecision)
_MOST_FRESHNESS_SAMPLES = 100
# There are few ways in which a thing can count; each is worked out once.
_answer_deltas = functools.lru_cache(1024)(answer_deltas)
_decision_deltas = functools.lru_cache(1024)(decision_deltas)


@dataclass(slots=True)
class CountBatch:
    """Counts a batch of answers and decisions exactly once.

    `touched` gets the number of what a batch leaves for the publisher, and the cells as they stand after it. The
    batch is not committed then, and may never be.
    """

    units: Units
    metrics: Metrics
    touched: Callable[[int, Int64], None]
    now: Callable[[], float] = time.time
    freshness: Freshness = field(default_factory=Freshness)
    _clock: LocalClock = field(default_factory=LocalClock)
    _sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.aggregator"))

    async def __call__(self, connection: Database, counted: list[Counted]) -> None:
        """Count what is new in the batch; what was counted before, in this or a higher revision, is not."""
        minutes_from = await self.units.follow(connection)
        answers = _latest((a.response_id, a) for a in counted if isinstance(a, CountedAnswer))
        decisions = _latest(((d.delivery.delivery_id, d.kind), d) for d in counted if isinstance(d, CountedDecision))
        changes = [
            *await self._keep_answers(connection, answers),
            *await self._keep_decisions(connection, decisions),
        ]
        masks = await self.units.masks(connection, (u for c in changes for u in c.units))
        deltas = fold(changes, masks, minutes_from)
        if len(deltas.cells):
            rows = await add_to_cells(connection, self._sql, deltas)
            self.touched(await connection.fetchval(self._sql["touch"], deltas.cells.tolist()), rows)
        self._watch_freshness(answers)

    async def _keep_answers(self, connection: Database, answers: Sequence[CountedAnswer]) -> list[Change]:
        if not answers:
            return []
        units, minutes = await self.units.of(answers), self._minutes(answers)
        await connection.copy_records_to_table(
            "incoming_answer",
            records=[
                (a.response_id, a.revision, a.score, a.commented, a.contested, at // 60, u, at % 60, a.series)
                for a, at, u in zip(answers, minutes, units, strict=True)
            ],
        )
        # Of most answers it is the first revision, and PostgreSQL has nothing to tell of it that we do not know.
        places = {a.response_id: place for place, a in enumerate(answers)}
        kept = await connection.fetch(self._sql["keep_answers"])
        twins = await self._twins(kept, {a.response_id: (a.series, u) for a, u in zip(answers, units, strict=True)})
        changes = []
        for name, revision, old, of_first, hour, minute in kept:
            a, at = answers[place := places[name]], minutes[place]
            new = (a.score, a.commented, a.contested, a.series)
            of, when, within = (of_first, hour, minute) if revision else (units[place], at // 60, at % 60)
            if a.series is None and (old is None or old[3] is None):
                changes.append(Change(of, when, _answer_deltas(old, new), within))
            else:
                changes += answer_changes(of, when, within, old, new, twins)
            if revision == 0:
                changes.append(opened_no_more(of_first, hour, minute))
        return changes

    async def _twins(
        self, kept: Sequence[asyncpg.Record], told: Mapping[uuid.UUID, tuple[str | None, Sequence[int]]]
    ) -> Twins:
        apart = set()
        for name, _, old, of_first, *_ in kept:
            series, units = told[name]
            if series or (old and old[3]):
                apart |= {(unit, s) for s in (series, old and old[3]) if s for unit in of_first or units}
        return await self.units.twins(apart) if apart else {}

    async def _keep_decisions(self, connection: Database, decisions: Sequence[CountedDecision]) -> list[Change]:
        if not decisions:
            return []
        units, minutes = await self.units.of(decisions), self._minutes(decisions)
        await connection.copy_records_to_table(
            "incoming_decision",
            records=[
                (d.delivery.delivery_id, d.kind, d.revision, d.outcome, at // 60, u, at % 60)
                for d, at, u in zip(decisions, minutes, units, strict=True)
            ],
        )
        places = {(d.delivery.delivery_id, d.kind): place for place, d in enumerate(decisions)}
        changes = []
        for name, kind, old, of_first, hour, minute in await connection.fetch(self._sql["keep_decisions"]):
            place = places[name, kind]
            deltas = _decision_deltas(old, decisions[place].outcome)
            at = minutes[place]
            changes.append(
                Change(of_first, hour, deltas, minute) if old else Change(units[place], at // 60, deltas, at % 60)
            )
        return changes

    def _minutes(self, counted: Sequence[Counted]) -> list[int]:
        return [self._minute(c.delivery) for c in counted]

    def _minute(self, facts: Facts) -> int:
        try:
            return self._clock.minute(facts.occurred_at, facts.zone)
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
    """Of each thing the highest revision in the batch, at the place of the first one that is an answer or decision.

    One statement may touch a row only once; and where batches begin must not decide where something counts.
    """
    best: dict[K, V] = {}
    first: dict[K, V] = {}
    for key, value in keyed:
        if key not in first or first[key].revision == 0:
            first[key] = value
        if key not in best or best[key].revision < value.revision:
            best[key] = value
    return [value if value is first[key] else value.counted_as(first[key]) for key, value in best.items()]
