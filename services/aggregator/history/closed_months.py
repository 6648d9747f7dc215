"""A closed month counted anew from the topics, up to where they were counted when it was closed, and compared with it.

The shadow is closed by the same statements as the month was; then the rows of both are compared.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import asyncpg
from aiokafka import TopicPartition

from services.aggregator.counting.zone_data import zone_data
from services.aggregator.figures.months import Months, month_name
from services.aggregator.history.kafka_holds import KafkaHolds, kafka_holds
from services.aggregator.history.lanes import Lanes, reading_lanes
from services.aggregator.history.past import Positions
from services.aggregator.history.shadow_schema import PACKAGE, live_tables, shadow_pool, shadow_schema, shadow_tables
from services.chassis.failures import MustStop
from services.chassis.postgres import Database, OwnConnection, named_sql
from services.chassis.settings import Settings


@dataclass(frozen=True, slots=True)
class DifferingRow:
    """A row of a closed month that is another, or is missing on one side, when the month is counted again.

    Attributes:
        kind: `cell`, `question` or `complaint`.
        where: what the row is about: cut and value, question and answer, or cause and responsibility.
        closed: its numbers as they were closed, in the order of the table.
        counted: the same, from the topics.
    """

    kind: str
    where: Sequence[str]
    closed: Sequence[int | None] | None
    counted: Sequence[int] | None


@dataclass(frozen=True, slots=True)
class MonthReplay:
    """What a replay of a closed month found.

    Attributes:
        month: its name.
        revision: which of its revisions.
        closed_at: when that was stored.
        cells: closed rows that were compared.
        questions: closed rows of answers to further questions that were compared.
        complaints: closed rows of complaints that were compared.
        read: records read from the topics.
        counted: of those, answers, decisions and cases.
        put_aside: of those, records that nobody can count.
        skipped: of those, tombstones.
        missing: records counted then that Kafka does not have any more.
        zone_data: the version of the time-zone data that the replay gave hours by.
        zone_data_closed: those by which the month was counted.
    """

    month: str
    revision: int
    closed_at: datetime
    cells: int
    questions: int
    complaints: int
    read: int
    counted: int
    put_aside: int
    skipped: int
    missing: int
    seconds: float
    zone_data: str
    zone_data_closed: Sequence[str]
    differing: list[DifferingRow] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Whether every row is the same, and every record was accounted for."""
        return not self.differing and self.read == self.counted + self.put_aside + self.skipped


@dataclass(frozen=True, slots=True)
class _Revision:
    month: int
    number: int
    reason: str
    closed_at: datetime
    zone_data: Sequence[str]

    @property
    def name(self) -> str:
        return f"revision {self.number} of {month_name(self.month)}"


async def replay_month(
    settings: Settings, month: int, revision: int | None = None, *, keep: bool = False
) -> MonthReplay:
    """Count a revision of a closed month again, the latest unless told, and compare; `keep` leaves the schema.

    Raises:
        MustStop: there is no such revision, it was closed before positions were kept, Kafka does not have what was
            counted then, another replay runs, or Kafka or PostgreSQL cannot be reached.
    """
    began = time.monotonic()
    async with live_tables(settings) as connection:
        closed = await _revision(connection, month, revision)
        positions = await _positions(connection, closed, await kafka_holds(settings))
        async with shadow_schema(settings, connection, keep=keep):
            return await _count_and_compare(settings, connection, closed, positions, began)


async def _revision(connection: Database, month: int, number: int | None) -> _Revision:
    row = await connection.fetchrow(_sql()["revision_of_month"], month, number)
    if row is None:
        told = "is not closed" if number is None else f"has no revision {number}"
        raise MustStop(f"{month_name(month)} {told}: `kvittera months list` tells what is")
    return _Revision(row["month"], row["revision"], row["reason"], row["closed_at"], row["zone_data"] or ())


async def _positions(connection: Database, closed: _Revision, kafka: KafkaHolds) -> Positions:
    """Where the topics were counted up to.

    Raises:
        MustStop: that was not kept, or the topics of now do not hold what was counted.
    """
    rows = await connection.fetch(_sql()["positions_of_month"], closed.month, closed.number)
    if not rows:
        raise MustStop(
            f"{closed.name} was closed before it was kept how far the topics were counted: it cannot be counted again"
        )
    for r in rows:
        identity = kafka.topics[r["topic"]]
        if (identity.cluster_id, identity.topic_id) != (r["cluster_id"], r["topic_id"]):
            raise MustStop(
                f"{r['topic']} is not the topic that {closed.name} was counted from (it was deleted and made again, or"
                " this is another cluster): it cannot be counted again"
            )
        end = kafka.extents[TopicPartition(r["topic"], r["part"])].end
        if end < r["next"]:
            raise MustStop(
                f"{r['topic']}/{r['part']} ends at {end} and {closed.name} was counted up to {r['next']}: Kafka lost"
                " records, so it cannot be counted again"
            )
    positions = {TopicPartition(r["topic"], r["part"]): int(r["next"]) for r in rows}
    if all(kafka.extents[p].first >= at for p, at in positions.items()):
        raise MustStop(f"Kafka has no record any more of those that {closed.name} was counted from")
    return positions


async def _count_and_compare(
    settings: Settings, connection: OwnConnection, closed: _Revision, positions: Positions, began: float
) -> MonthReplay:
    sql, which = _sql(), (closed.month, closed.number)
    await connection.execute(sql["copy_cuts_of_month"], *which)
    async with shadow_pool(settings) as pool, reading_lanes(settings, pool, sql, [*positions]) as lanes:
        places = [(*which, p.topic, p.partition, first) for p, first in lanes.first.items()]
        await connection.executemany(sql["copy_positions_of_month"], places)
        await lanes.count(positions)
        await lanes.write()
    await connection.execute(sql["learn_sizes"])
    async with shadow_tables(settings) as shadow, shadow.transaction():
        await Months(0).store_figures(shadow, *which, closed.reason, closed.closed_at)
    rows = await connection.fetchrow(sql["rows_of_month"], *which)
    assert rows is not None
    return MonthReplay(
        month=month_name(closed.month),
        revision=closed.number,
        closed_at=closed.closed_at,
        cells=rows["cells"],
        questions=rows["questions"],
        complaints=rows["complaints"],
        read=lanes.tally.read,
        counted=lanes.tally.counted,
        put_aside=await connection.fetchval(sql["put_aside"]),
        skipped=len(lanes.tally.empty),
        missing=_missing(lanes, positions),
        seconds=time.monotonic() - began,
        zone_data=zone_data(),
        zone_data_closed=closed.zone_data,
        differing=await _differing(connection, *which),
    )


def _missing(lanes: Lanes, positions: Positions) -> int:
    return sum(min(first, positions[p]) for p, first in lanes.first.items())


async def _differing(connection: Database, month: int, revision: int) -> list[DifferingRow]:
    sql = _sql()
    cells = await connection.fetch(sql["compare_cells_of_month"], month, revision)
    questions = await connection.fetch(sql["compare_questions_of_month"], month, revision)
    complaints = await connection.fetch(sql["compare_complaints_of_month"], month, revision)
    return [
        *(DifferingRow("cell", _where(r), r["closed"], r["counted"]) for r in cells),
        *(DifferingRow("question", _where(r), _one(r["closed"]), _one(r["counted"])) for r in questions),
        *(DifferingRow("complaint", _where(r), _one(r["closed"]), _one(r["counted"])) for r in complaints),
    ]


def _where(row: asyncpg.Record) -> list[str]:
    """All columns but the last two, which are the numbers."""
    return [str(value) for value in [*row.values()][:-2]]


def _one(number: int | None) -> list[int] | None:
    return None if number is None else [number]


def _sql() -> dict[str, str]:
    return {**named_sql(PACKAGE), **named_sql(PACKAGE, "shadow.sql"), **named_sql(PACKAGE, "shadow_months.sql")}
