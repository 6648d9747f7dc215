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
_REMEMBERED = 100_000
_PAUSE = 0.2


class Answer(NamedTuple):
    """An answer as one of the two sides has it."""

    response_id: UUID
    revision: int
    score: int | None
    contested: bool


class Late(NamedTuple):
    """An acknowledged answer that was not counted as it stands; `first`: in no revision at all."""

    answer: Answer
    first: bool


class Pass(NamedTuple):
    """One comparison: what it found, the first of the answers in flight, and when it saw what is acknowledged."""

    audit: "Audit"
    late: list[Late]
    at: float


@dataclass(frozen=True, slots=True)
class Audit:
    """What the audit found.

    Attributes:
        acknowledged: answers that recipients were told are saved.
        counted: answers that the aggregator has.
        lost: acknowledged but not counted, or counted in an older revision than acknowledged.
        double: counted more than once or never acknowledged, also in a later revision than acknowledged.
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

    Memory does not grow with the answers: both sides are read in the order of their ids, `at_once` at a time, and
    some answers in flight are remembered, to be looked for alone. All is compared again only if there are more.
    """
    clock = asyncio.get_running_loop().time
    survey = await connect(settings, "survey", command_timeout=LONG_READ)
    asked_again = await connect(settings, "survey", command_timeout=LONG_READ)
    aggregator = await connect(settings, "aggregator", command_timeout=LONG_READ)
    try:
        for connection, service in ((survey, "survey"), (aggregator, "aggregator")):
            await check_migrated(connection, service, f"services.{service}")
        began = clock()
        while True:
            result, late, at = await _audit_once(survey, asked_again, aggregator, at_once)
            if not wait:
                return result
            if result.in_flight == len(late):
                return await _awaited(aggregator, result, late, at + wait, at_once)
            if clock() > began + wait:
                return _without_patience(result)
            await asyncio.sleep(_PAUSE)
    finally:
        for connection in (survey, asked_again, aggregator):
            await connection.close()


async def keep_result(settings: Settings, result: Audit) -> None:
    """Keep when an audit ended and how much differed, for the aggregator's metrics and their alerts."""
    async with tables_of(settings, "aggregator", command_timeout=60) as connection:
        await note_audit(connection, result.differences)


async def _audit_once(
    survey: OwnConnection, asked_again: OwnConnection, aggregator: OwnConnection, at_once: int
) -> Pass:
    cells = Cells()
    async with _snapshot(aggregator):
        async with _snapshot(survey):
            # Acknowledged is seen first: an answer can be acknowledged and not counted yet, never the other way round.
            await survey.execute("SELECT 1")
            at = asyncio.get_running_loop().time()
            acknowledged = _answers(survey, named_sql("services.survey")["acknowledged"], at_once)
            counted = _answers(aggregator, cells.sql["counted_answers"], at_once)
            result, late = await _compare(side_by_side(acknowledged, counted), asked_again, at_once)
        # The fold of all cells may take minutes, and nothing of the survey is held meanwhile.
        totals = await aggregator.fetchrow(cells.sql["totals"])
        assert totals is not None
        differing, first = 0, []
        async for difference in cells.differing(aggregator, at_once):
            differing += 1
            if differing <= _SHOWN:
                first.append(difference)
    audit = replace(result, deliveries=totals["deliveries"], differing_cells=differing, differing=first)
    return Pass(audit, late, at)


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
) -> tuple[Audit, list[Late]]:
    acknowledged = counted = lost = double = in_flight = 0
    strangers: list[Answer] = []
    late: list[Late] = []
    async for ours, theirs in pairs:
        acknowledged += ours is not None
        counted += theirs is not None
        if theirs is not None and (ours is None or ours.revision < theirs.revision):
            strangers.append(theirs)
            if len(strangers) == at_once:
                double += await _unheard_of(asked_again, strangers)
                strangers.clear()
        elif ours is not None and (theirs is None or theirs.revision < ours.revision):
            in_flight += 1
            if len(late) < _REMEMBERED:
                late.append(Late(ours, first=theirs is None))
        elif theirs != ours:
            lost += 1
    double += await _unheard_of(asked_again, strangers)
    return Audit(acknowledged, counted, lost, double, in_flight), late


async def _unheard_of(survey: OwnConnection, candidates: list[Answer]) -> int:
    """How many answers are counted that the survey does not know, or in a revision that it does not know.

    It is asked again, for they may have just been acknowledged.
    """
    if not candidates:
        return 0
    ids, revisions = [a.response_id for a in candidates], [a.revision for a in candidates]
    known = await survey.fetchval(named_sql("services.survey")["acknowledged_among"], ids, revisions)
    return len(candidates) - int(known)


async def _awaited(aggregator: OwnConnection, found: Audit, late: list[Late], until: float, at_once: int) -> Audit:
    """What was found, after waiting for the answers in flight; each is looked for once at least."""
    clock = asyncio.get_running_loop().time
    while late:
        missing: list[Late] = []
        for begin in range(0, len(late), at_once):
            some = late[begin : begin + at_once]
            ids = [one.answer.response_id for one in some]
            rows = await aggregator.fetch(named_sql("services.aggregator")["counted_among"], ids)
            counted = {row["response_id"]: Answer(*row) for row in rows}
            for one in some:
                theirs = counted.get(one.answer.response_id)
                if theirs is None or theirs.revision < one.answer.revision:
                    missing.append(one)
                    continue
                otherwise = theirs.revision == one.answer.revision and theirs != one.answer
                found = replace(found, counted=found.counted + one.first, lost=found.lost + otherwise)
        late = missing
        found = replace(found, in_flight=len(late))
        if clock() > until:
            break
        await asyncio.sleep(_PAUSE if late else 0)
    return _without_patience(found)


async def _answers(connection: OwnConnection, sql: str, at_once: int) -> AsyncIterator[Answer]:
    async for r in connection.cursor(sql, prefetch=at_once):
        yield Answer(r["response_id"], r["revision"], r["score"], r["contested"])


def _without_patience(result: Audit) -> Audit:
    # Waiting was asked for: what has not arrived by now is lost as far as anybody can see.
    return replace(result, lost=result.lost + result.in_flight, in_flight=0)
