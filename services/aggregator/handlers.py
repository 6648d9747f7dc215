"""What the aggregator does with a batch, top to bottom: keep last revisions, fold what changed, apply, tell.

Everything happens inside the fence's transaction, so that counters, revisions and the next offset are always
those of one moment (guarantee 2).
"""

import functools
import time
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TypeVar

from services.aggregator.counting.answer_columns import AnswerColumns, Block, block_of, joined, latest
from services.aggregator.counting.answers import alike_in, beside, changes_of
from services.aggregator.counting.deltas import (
    AlikeChanges,
    Change,
    Deltas,
    decision_deltas,
    fold,
)
from services.aggregator.counting.freshness import Freshness
from services.aggregator.counting.local_clock import LocalClock
from services.aggregator.counting.reading import Counted, CountedAnswer, CountedDecision
from services.aggregator.counting.stored_answers import keep_answers
from services.aggregator.counting.stored_cells import add_to_cells
from services.aggregator.counting.stored_questions import keep_questions
from services.aggregator.counting.units import Units
from services.aggregator.counting.windows import Int64
from services.chassis.bigint_copy import write_array
from services.chassis.metrics import Metrics
from services.chassis.postgres import Database, named_sql

K = TypeVar("K", bound=Hashable)
# There are few ways in which a decision can count; each is worked out once.
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
    hold: Callable[[Database, Deltas], Awaitable[None]] | None = None
    """Takes what is added to cells instead of their table, inside the same transaction; nothing is touched then."""
    _clock: LocalClock = field(default_factory=LocalClock)
    _sql: Mapping[str, str] = field(
        default_factory=lambda: {
            **named_sql("services.aggregator"),
            **named_sql("services.aggregator", "questions.sql"),
        }
    )

    async def __call__(self, connection: Database, counted: Sequence[Counted | Block]) -> None:
        """Count what is new in the batch; what was counted before, in this or a higher revision, is not."""
        minutes_from = await self.units.follow(connection)
        answers = await self._answers(counted)
        decisions = _latest(((d.delivery.delivery_id, d.kind), d) for d in counted if isinstance(d, CountedDecision))
        changes, alike = await self._keep_answers(connection, answers) if answers is not None else ([], None)
        changes += await self._keep_decisions(connection, decisions)
        of_changes = chain.from_iterable([c.units for c in changes])
        masks = await self.units.masks(connection, of_changes, None if alike is None else alike.units)
        deltas = fold(changes, masks, minutes_from, alike)
        if len(deltas.cells):
            await self._add(connection, deltas)
        self._watch_freshness(answers)

    async def _add(self, connection: Database, deltas: Deltas) -> None:
        if self.hold is not None:
            await self.hold(connection, deltas)
            return
        rows = await add_to_cells(connection, self._sql, deltas)
        await write_array(connection, "touched", "cells", deltas.cells)
        self.touched(await connection.fetchval(self._sql["touched_last"]), rows)

    async def _answers(self, counted: Sequence[Counted | Block]) -> AnswerColumns | None:
        """The last revision of each answer."""
        blocks: list[Block] = []
        alone: list[CountedAnswer] = []
        for c in counted:
            if isinstance(c, CountedAnswer):
                alone.append(c)
            elif isinstance(c, Block):
                blocks += [*self._block(alone), c]
                alone = []
        blocks += self._block(alone)
        return latest(await joined(blocks, self.units)) if blocks else None

    def _block(self, answers: Sequence[CountedAnswer]) -> list[Block]:
        return [block_of(answers, self.units, self._clock)] if answers else []

    async def _keep_answers(self, connection: Database, answers: AnswerColumns) -> tuple[list[Change], AlikeChanges]:
        kept = await keep_answers(connection, self._sql, answers)
        await keep_questions(connection, self._sql, kept)
        apart = beside(kept)
        return changes_of(kept, await self.units.twins(apart) if apart else {}), alike_in(kept)

    async def _keep_decisions(self, connection: Database, decisions: Sequence[CountedDecision]) -> list[Change]:
        if not decisions:
            return []
        units, facts = await self.units.of(decisions), [d.delivery for d in decisions]
        minutes = self._clock.minutes([f.occurred_at for f in facts], [f.zone for f in facts]).tolist()
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

    def _watch_freshness(self, answers: AnswerColumns | None) -> None:
        now = self.now()
        recorded = [] if answers is None else answers.recorded()
        ages = [max(0.0, now - at) for at in recorded]
        for age in ages:
            self.metrics.observe("kvittera_freshness_seconds", age)
        self.freshness.add(now, ages)


def _latest(keyed: Iterable[tuple[K, CountedDecision]]) -> list[CountedDecision]:
    """Of each decision the highest revision in the batch, at the place of the first one.

    One statement may touch a row only once; and where batches begin must not decide where something counts.
    """
    first: dict[K, CountedDecision] = {}
    again = [(key, value) for key, value in keyed if first.setdefault(key, value) is not value]
    best = dict(first)
    for key, value in again:
        if best[key].revision < value.revision:
            best[key] = value
    for key in {key for key, _ in again}:
        if best[key] is not first[key]:
            best[key] = best[key].counted_as(first[key])
    return list(best.values())
