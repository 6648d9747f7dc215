"""The audit: counters == fold(counted answers) == acknowledged answers. Reads every service's tables, changes none."""

import asyncio
from dataclasses import dataclass, field, replace
from uuid import UUID

import asyncpg

from services.aggregator.cells.rows import Cells, Difference
from services.chassis.postgres import OwnConnection, check_migrated, connect, named_sql
from services.chassis.settings import Settings

Answers = dict[UUID, tuple[int, int | None, bool]]
"""Response id to (revision, score, contested)."""
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Audit:
    """What the audit found.

    Attributes:
        acknowledged: answers that recipients were told are saved.
        counted: answers that the aggregator has.
        lost: acknowledged but not counted, or counted in an older revision than acknowledged.
        double: counted more than once or never acknowledged: what cells hold beyond the answers.
        differing: cells that are not the fold of what was counted.
        in_flight: acknowledged answers whose event Kafka does not have yet, or that are still being read.
    """

    acknowledged: int
    counted: int
    lost: int
    double: int
    in_flight: int
    deliveries: int
    differing: list[Difference] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether nothing is lost, doubled or wrong."""
        return not (self.lost or self.double or self.differing)

    def as_dict(self) -> dict[str, object]:
        """For machines."""
        return {
            "acknowledged": self.acknowledged,
            "counted": self.counted,
            "lost": self.lost,
            "double": self.double,
            "in_flight": self.in_flight,
            "deliveries": self.deliveries,
            "differing_cells": len(self.differing),
            "clean": self.clean,
        }

    def lines(self) -> list[str]:
        """For people."""
        verdict = "clean" if self.clean else "NOT CLEAN"
        told = [
            f"{verdict}: {self.lost} lost, {self.double} double, {len(self.differing)} differing cells",
            f"{self.acknowledged} answers acknowledged, {self.counted} counted, {self.in_flight} on their way",
            f"{self.deliveries} deliveries in the counters",
        ]
        told += [
            f"  {d.cut} {d.value!r} (cell {d.cell}): counted {d.counted}, should be {d.expected}"
            for d in self.differing[:_SHOWN]
        ]
        if len(self.differing) > _SHOWN:
            told.append(f"  and {len(self.differing) - _SHOWN} more")
        return told


async def run_audit(settings: Settings, wait: float = 0.0) -> Audit:
    """Audit now; with `wait`, first give answers on their way up to so many seconds to arrive."""
    survey = await connect(settings, "survey", command_timeout=300)
    aggregator = await connect(settings, "aggregator", command_timeout=300)
    try:
        for connection, service in ((survey, "survey"), (aggregator, "aggregator")):
            await check_migrated(connection, service, f"services.{service}")
        deadline = asyncio.get_running_loop().time() + wait
        while True:
            result = await _audit_once(survey, aggregator)
            if not result.in_flight or asyncio.get_running_loop().time() > deadline:
                # Waiting was asked for: what has not arrived by now is lost as far as anybody can see.
                return _without_patience(result) if wait else result
            await asyncio.sleep(0.2)
    finally:
        await survey.close()
        await aggregator.close()


async def _audit_once(survey: OwnConnection, aggregator: OwnConnection) -> Audit:
    cells = Cells()
    # Acknowledged is read first: an answer can be acknowledged and not counted yet, never the other way round.
    acknowledged = _answers(await survey.fetch(named_sql("services.survey")["acknowledged"]))
    async with aggregator.transaction(isolation="repeatable_read", readonly=True):
        counted = _answers(await aggregator.fetch(cells.sql["counted_answers"]))
        totals = await aggregator.fetchrow(cells.sql["totals"])
        differing = await cells.audit(aggregator)
    waiting = sum(1 for key, answer in acknowledged.items() if key not in counted or counted[key][0] < answer[0])
    unheard_of = await _unheard_of(survey, set(counted) - set(acknowledged))
    wrong = sum(
        1
        for key, answer in acknowledged.items()
        if key in counted and counted[key][0] == answer[0] and counted[key] != answer
    )
    assert totals is not None
    return Audit(
        acknowledged=len(acknowledged),
        counted=len(counted),
        lost=wrong,
        double=unheard_of,
        in_flight=waiting,
        deliveries=totals["deliveries"],
        differing=differing,
    )


async def _unheard_of(survey: OwnConnection, candidates: set[UUID]) -> int:
    """How many counted answers the survey does not know; asked again, for they may have just been acknowledged."""
    if not candidates:
        return 0
    known = await survey.fetchval(named_sql("services.survey")["acknowledged_among"], list(candidates))
    return len(candidates) - int(known)


def _answers(rows: list[asyncpg.Record]) -> Answers:
    return {r["response_id"]: (r["revision"], r["score"], r["contested"]) for r in rows}


def _without_patience(result: Audit) -> Audit:
    return replace(result, lost=result.lost + result.in_flight, in_flight=0)
