"""The audit: counters == fold(counted answers) == acknowledged answers. It changes nothing that it reads."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import NamedTuple
from uuid import UUID

from services.aggregator.cells.rows import Cells, Difference
from services.aggregator.history.latest_audit import note_audit
from services.chassis.postgres import LONG_READ, OwnConnection, check_migrated, connect, named_sql, tables_of
from services.chassis.settings import Settings

_AT_ONCE = 10_000
_SHOWN = 20


class Answer(NamedTuple):
    """An answer as one of the two sides has it."""

    response_id: UUID
    revision: int
    score: int | None
    contested: bool


@dataclass(frozen=True, slots=True)
class Audit:
    """What the audit found.

    Attributes:
        acknowledged: answers that recipients were told are saved.
        counted: answers that the aggregator has.
        lost: acknowledged but not counted, or counted in an older revision than acknowledged.
        double: counted more than once or never acknowledged: what cells hold beyond the answers.
        in_flight: acknowledged answers whose event Kafka does not have yet, or that are still being read.
        differing_cells: how many cells are not the fold of what was counted.
        differing: the first of them.
    """

    acknowledged: int
    counted: int
    lost: int
    double: int
    in_flight: int
    deliveries: int = 0
    differing_cells: int = 0
    differing: list[Difference] = field(default_factory=list)

    @property
    def differences(self) -> int:
        """Lost and doubled answers, and cells that differ."""
        return self.lost + self.double + self.differing_cells

    @property
    def clean(self) -> bool:
        """Whether nothing is lost, doubled or wrong."""
        return not self.differences

    def as_dict(self) -> dict[str, object]:
        """For machines."""
        return {
            "acknowledged": self.acknowledged,
            "counted": self.counted,
            "lost": self.lost,
            "double": self.double,
            "in_flight": self.in_flight,
            "deliveries": self.deliveries,
            "differing_cells": self.differing_cells,
            "clean": self.clean,
        }

    def lines(self) -> list[str]:
        """For people."""
        verdict = "clean" if self.clean else "NOT CLEAN"
        told = [
            f"{verdict}: {self.lost} lost, {self.double} double, {self.differing_cells} differing cells",
            f"{self.acknowledged} answers acknowledged, {self.counted} counted, {self.in_flight} on their way",
            f"{self.deliveries} deliveries in the counters",
        ]
        told += [
            f"  {d.cut} {d.value!r} (cell {d.cell}): counted {d.counted}, should be {d.expected}"
            for d in self.differing
        ]
        if more := self.differing_cells - len(self.differing):
            told.append(f"  and {more} more")
        return told


async def run_audit(settings: Settings, wait: float = 0.0, *, at_once: int = _AT_ONCE) -> Audit:
    """Audit now; with `wait`, first give answers on their way up to so many seconds to arrive.

    Memory does not grow with the answers: both sides are read in the order of their ids, `at_once` at a time.
    """
    survey = await connect(settings, "survey", command_timeout=LONG_READ)
    asked_again = await connect(settings, "survey", command_timeout=LONG_READ)
    aggregator = await connect(settings, "aggregator", command_timeout=LONG_READ)
    try:
        for connection, service in ((survey, "survey"), (aggregator, "aggregator")):
            await check_migrated(connection, service, f"services.{service}")
        deadline = asyncio.get_running_loop().time() + wait
        while True:
            result = await _audit_once(survey, asked_again, aggregator, at_once)
            if not result.in_flight or asyncio.get_running_loop().time() > deadline:
                # Waiting was asked for: what has not arrived by now is lost as far as anybody can see.
                return _without_patience(result) if wait else result
            await asyncio.sleep(0.2)
    finally:
        for connection in (survey, asked_again, aggregator):
            await connection.close()


async def keep_result(settings: Settings, result: Audit) -> None:
    """Keep when an audit ended and how much differed, for the aggregator's metrics and their alerts."""
    async with tables_of(settings, "aggregator", command_timeout=60) as connection:
        await note_audit(connection, result.differences)


async def _audit_once(
    survey: OwnConnection, asked_again: OwnConnection, aggregator: OwnConnection, at_once: int
) -> Audit:
    cells = Cells()
    async with _snapshot(aggregator):
        async with _snapshot(survey):
            # Acknowledged is seen first: an answer can be acknowledged and not counted yet, never the other way round.
            await survey.execute("SELECT 1")
            acknowledged = _answers(survey, named_sql("services.survey")["acknowledged"], at_once)
            counted = _answers(aggregator, cells.sql["counted_answers"], at_once)
            result = await _compare(side_by_side(acknowledged, counted), asked_again, at_once)
        # The fold of all cells may take minutes, and nothing of the survey is held meanwhile.
        totals = await aggregator.fetchrow(cells.sql["totals"])
        assert totals is not None
        differing, first = 0, []
        async for difference in cells.differing(aggregator, at_once):
            differing += 1
            if differing <= _SHOWN:
                first.append(difference)
    return replace(result, deliveries=totals["deliveries"], differing_cells=differing, differing=first)


@asynccontextmanager
async def _snapshot(connection: OwnConnection) -> AsyncIterator[None]:
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        # One side waits while PostgreSQL sorts the other.
        await connection.execute(f"SET LOCAL idle_in_transaction_session_timeout = '{LONG_READ:.0f}s'")
        yield


async def side_by_side(
    acknowledged: AsyncIterator[Answer], counted: AsyncIterator[Answer]
) -> AsyncIterator[tuple[Answer | None, Answer | None]]:
    """Pairs by id of two sides in the order of ids, None where a side lacks it; holds one answer of each."""
    ours, theirs = await anext(acknowledged, None), await anext(counted, None)
    while ours is not None or theirs is not None:
        if theirs is None or (ours is not None and ours.response_id < theirs.response_id):
            yield ours, None
            ours = await anext(acknowledged, None)
        elif ours is None or theirs.response_id < ours.response_id:
            yield None, theirs
            theirs = await anext(counted, None)
        else:
            yield ours, theirs
            ours, theirs = await anext(acknowledged, None), await anext(counted, None)


async def _compare(
    pairs: AsyncIterator[tuple[Answer | None, Answer | None]], asked_again: OwnConnection, at_once: int
) -> Audit:
    acknowledged = counted = lost = double = in_flight = 0
    strangers: list[UUID] = []
    async for ours, theirs in pairs:
        acknowledged += ours is not None
        counted += theirs is not None
        if ours is None:
            assert theirs is not None
            strangers.append(theirs.response_id)
            if len(strangers) == at_once:
                double += await _unheard_of(asked_again, strangers)
                strangers.clear()
        elif theirs is None or theirs.revision < ours.revision:
            in_flight += 1
        elif theirs.revision == ours.revision and theirs != ours:
            lost += 1
    double += await _unheard_of(asked_again, strangers)
    return Audit(acknowledged, counted, lost, double, in_flight)


async def _unheard_of(survey: OwnConnection, candidates: list[UUID]) -> int:
    """How many counted answers the survey does not know; asked again, for they may have just been acknowledged."""
    if not candidates:
        return 0
    known = await survey.fetchval(named_sql("services.survey")["acknowledged_among"], candidates)
    return len(candidates) - int(known)


async def _answers(connection: OwnConnection, sql: str, at_once: int) -> AsyncIterator[Answer]:
    async for r in connection.cursor(sql, prefetch=at_once):
        yield Answer(r["response_id"], r["revision"], r["score"], r["contested"])


def _without_patience(result: Audit) -> Audit:
    return replace(result, lost=result.lost + result.in_flight, in_flight=0)
