"""Closed months (E15): a month is provisional until it is closed; then its figures never change, they are revised."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from aiokafka import TopicPartition

from schemas.satisfaction import Window
from services.aggregator.calendar import first_day, month_of_day
from services.aggregator.counting.windows import window_start
from services.aggregator.figures.questions import told_of
from services.aggregator.figures.said import gathered, hours_in
from services.aggregator.history.kafka_holds import TOPICS_OF_MONTHS, Extent, waiting
from services.aggregator.history.past import counted_up_to
from services.chassis.failures import MustStop
from services.chassis.postgres import Database, named_sql

_NAME = re.compile(r"(19[7-9]\d|2[01]\d\d)-(0[1-9]|1[0-2])")
FIRST_REASON = "closed"
Extents = Mapping[TopicPartition, Extent]
_NOTHING: Extents = MappingProxyType({})
_ISOLATION: Final = "repeatable_read"
"""Cells, answers, complaints and positions of a revision are those of one moment."""


def month_number(name: str) -> int:
    """Months since 1970-01 of a name such as `2026-10`.

    Raises:
        ValueError: it names no month.
    """
    if (found := _NAME.fullmatch(name)) is None:
        raise ValueError(f"{name!r} is no month: write it like 2026-10")
    return month_of_day(date(int(found[1]), int(found[2]), 1))


def month_name(number: int) -> str:
    """The name of a month by its number."""
    return str(window_start(Window.MONTH, number))


def closes_at(number: int, tolerance_days: float) -> datetime:
    """When a month may be closed: its end, and the days in which late answers may still come."""
    end = first_day(number + 1)
    # Half a day more, so that the month is over in every zone.
    return datetime(end.year, end.month, end.day, 12, tzinfo=UTC) + timedelta(days=tolerance_days)


@dataclass(frozen=True, slots=True)
class Months:
    """Closes and revises months; `tolerance_days` after its end a month may be closed."""

    tolerance_days: float
    sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.aggregator", "figures.sql"))
    complaints: Mapping[str, str] = field(default_factory=lambda: named_sql("services.aggregator", "complaints.sql"))
    questions: Mapping[str, str] = field(default_factory=lambda: named_sql("services.aggregator", "questions.sql"))

    async def close(self, connection: Database, month: int, now: datetime, extents: Extents = _NOTHING) -> None:
        """Store a month's figures as they are now, for good, with how far the topics are counted.

        Raises:
            MustStop: it is closed already, too early, nothing was counted in it, or of what Kafka held (`extents`)
                not all is counted.
        """
        if now < (due := closes_at(month, self.tolerance_days)):
            raise MustStop(f"{month_name(month)} may be closed from {due:%Y-%m-%d %H:%M} UTC on: answers still come")
        async with connection.transaction(isolation=_ISOLATION):
            if await self._latest(connection, month):
                raise MustStop(f"{month_name(month)} is closed: revise it, with a reason")
            await _refuse_waiting(connection, extents)
            await self._store(connection, month, 1, FIRST_REASON, now)

    async def revise(
        self, connection: Database, month: int, reason: str, now: datetime, extents: Extents = _NOTHING
    ) -> int:
        """Store a closed month's figures again as they are now; earlier revisions stay. Returns the new revision.

        Raises:
            MustStop: it is not closed yet, there is no reason, nothing moved, or of what Kafka held (`extents`) not
                all is counted.
        """
        if not reason.strip():
            raise MustStop("a revision needs a reason that readers understand")
        async with connection.transaction(isolation=_ISOLATION):
            latest = await self._latest(connection, month)
            if not latest:
                raise MustStop(f"{month_name(month)} is not closed yet")
            await _refuse_waiting(connection, extents)
            if not await self._moved(connection, month, latest):
                raise MustStop(f"nothing in {month_name(month)} changed since revision {latest}")
            await self._store(connection, month, latest + 1, reason, now)
            return latest + 1

    async def _latest(self, connection: Database, month: int) -> int:
        await connection.execute(self.sql["lock_months"])
        return int(await connection.fetchval(self.sql["revisions_of_month"], month) or 0)

    async def _store(self, connection: Database, month: int, revision: int, reason: str, now: datetime) -> None:
        if not await self.store_figures(connection, month, revision, reason, now):
            raise MustStop(f"nothing was counted in {month_name(month)}")
        await connection.execute(self.sql["close_positions"], month, revision, [*TOPICS_OF_MONTHS])
        await connection.execute(self.sql["close_cuts"], month, revision)

    async def store_figures(self, connection: Database, month: int, revision: int, reason: str, now: datetime) -> bool:
        """Store the figures of a revision alone, as a replay does with its own. Returns whether there are any cells."""
        await connection.execute(self.sql["close_month"], month, revision, reason, now)
        status = await connection.execute(self.sql["close_cells"], month, revision)
        await connection.execute(self.complaints["close_complaints"], month, revision)
        await connection.execute(self.questions["close_questions"], month, revision, *_hours(month))
        return status != "INSERT 0 0"

    async def _moved(self, connection: Database, month: int, revision: int) -> int:
        """How many cells, values of further questions and kinds of complaints are not as when the month was closed."""
        cells = await connection.fetchval(self.sql["cells_that_moved_since_closing"], month, revision)
        said = self.questions["questions_that_moved_since_closing"]
        given = await connection.fetchval(said, month, revision, *_hours(month))
        judged = await connection.fetchval(self.complaints["complaints_that_moved_since_closing"], month, revision)
        return int(cells) + int(given) + int(judged)

    async def due(self, connection: Database, now: datetime) -> Sequence[int]:
        """Months that were counted, are not closed, and may be."""
        closed = {r["month"] for r in await connection.fetch(self.sql["closed_revisions"])}
        counted = [r["month"] for r in await connection.fetch(self.sql["months_counted"])]
        return [m for m in counted if m not in closed and closes_at(m, self.tolerance_days) <= now]

    async def listed(self, connection: Database) -> list[dict[str, Any]]:
        """Every month with its state, its revisions, and how much of it moved since it was closed."""
        revisions: dict[int, list[dict[str, Any]]] = {}
        for r in await connection.fetch(self.sql["closed_revisions"]):
            told = {"revision": r["revision"], "reason": r["reason"], "closed_at": r["closed_at"].isoformat()}
            revisions.setdefault(r["month"], []).append(told | {"zone_data": r["zone_data"]})
        counted = {r["month"] for r in await connection.fetch(self.sql["months_counted"])}
        months = []
        for month in sorted(counted | set(revisions)):
            of = revisions.get(month, [])
            moved = 0
            if of:
                moved = await self._moved(connection, month, of[-1]["revision"])
            state = "closed" if of else "provisional"
            months.append({"month": month_name(month), "state": state, "revisions": of, "moved": moved})
        return months

    async def figures(self, connection: Database, month: int, cut: str) -> dict[str, Any]:
        """The counters of a cut in a month: as closed where it is closed, else as they are now, and so marked."""
        revision = int(await connection.fetchval(self.sql["revisions_of_month"], month) or 0)
        if revision:
            rows = await connection.fetch(self.sql["closed_cells"], month, revision, cut)
            given = await connection.fetch(self.questions["closed_questions"], month, revision, cut)
        else:
            rows = await connection.fetch(self.sql["live_month_cells"], month, cut)
            given = await connection.fetch(self.questions["live_month_questions"], cut, *_hours(month))
        said = gathered((r["value"], r["question"], r["given"], r["answers"]) for r in given)
        return {
            "month": month_name(month),
            "state": "closed" if revision else "provisional",
            "revision": revision or None,
            "cells": [_cell(dict(r)) | {"questions": told_of(said.get(r["value"], {}))} for r in rows],
        }


async def _refuse_waiting(connection: Database, extents: Extents) -> None:
    left = waiting(extents, await counted_up_to(connection, TOPICS_OF_MONTHS))
    if left:
        told = ", ".join(f"{records} of {topic}" for topic, records in left.items())
        raise MustStop(
            f"records wait that are not counted yet ({told}), and figures stored now would lack them: try again once"
            " the aggregator has read them, or go without them with --accept-waiting"
        )


def _hours(month: int) -> tuple[int, int]:
    return hours_in(Window.MONTH, month, month)


def _cell(counters: dict[str, Any]) -> dict[str, Any]:
    scores = [counters.pop(f"s{n}") for n in range(1, 6)]
    return {**counters, "scores": scores, "answers": sum(scores)}
