"""Everything counted anew from the topics, in a schema beside the live one, and compared with it bit for bit.

Nothing is published and nobody's place moves; counting goes on meanwhile. The shadow is brought to the very
positions of one snapshot of the live tables, and the counters of that moment are compared.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import asyncpg

from schemas.satisfaction import Window
from services.aggregator.counting.stored_cuts import StoredCuts
from services.aggregator.counting.windows import unpack, window_start
from services.aggregator.counting.zone_data import noted_zone_data, zone_data
from services.aggregator.history.lanes import reading_lanes
from services.aggregator.history.past import Positions, counted_up_to
from services.aggregator.history.shadow_schema import PACKAGE, live_tables, shadow_pool, shadow_schema
from services.chassis.failures import MustStop
from services.chassis.postgres import OwnConnection, named_sql
from services.chassis.settings import Settings

_CLOSE_BY = 5_000


@dataclass(frozen=True, slots=True)
class DifferingCell:
    """A cell that is counted otherwise live than from the topics; counters in the order of the table."""

    cut: str
    value: str
    window: str
    start: str | None
    live: Sequence[int] | None
    shadow: Sequence[int] | None


@dataclass(frozen=True, slots=True)
class DifferingSaid:
    """A value of a further question that was given otherwise live than from the topics, in an hour of deliveries.

    Equal numbers are of other responses.
    """

    question: str
    value: int
    hour: str
    live: int
    shadow: int


@dataclass(frozen=True, slots=True)
class Replay:
    """What a replay found.

    Attributes:
        read: records read from the topics.
        counted: of those, answers and decisions.
        put_aside: of those, records that nobody can count.
        skipped: of those, tombstones.
        missing: records at the beginning of the topics that Kafka does not have any more.
        zone_data: the version of the time-zone data that the replay gave hours by.
        zone_data_live: the versions by which the live counters got theirs, as far as they were kept.
        cells: live cells that were compared.
        said: answers to further questions that were compared.
    """

    read: int
    counted: int
    put_aside: int
    skipped: int
    missing: int
    cells: int
    said: int
    seconds: float
    zone_data: str
    zone_data_live: Sequence[str]
    differing: list[DifferingCell] = field(default_factory=list)
    differing_said: list[DifferingSaid] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Whether both hold the same, and every record was accounted for."""
        same = not self.differing and not self.differing_said
        return same and self.read == self.counted + self.put_aside + self.skipped


async def replay(settings: Settings, *, keep: bool = False) -> Replay:
    """Count all that the topics hold into a shadow schema and compare; `keep` leaves the schema to look at.

    Raises:
        MustStop: nothing was ever counted, another replay runs, or Kafka or PostgreSQL cannot be reached.
    """
    began = time.monotonic()
    async with live_tables(settings) as connection:
        if not await StoredCuts().all(connection):
            raise MustStop("nothing was counted yet: start the aggregator first")
        async with shadow_schema(settings, connection, keep=keep):
            return await _count_and_compare(settings, connection, began)


async def _count_and_compare(settings: Settings, connection: OwnConnection, began: float) -> Replay:
    sql = {**named_sql(PACKAGE), **named_sql(PACKAGE, "shadow.sql")}
    await connection.execute(sql["copy_cuts"])
    async with shadow_pool(settings) as pool:
        positions = await counted_up_to(connection)
        async with reading_lanes(settings, pool, sql, [*positions]) as lanes:
            await connection.executemany(
                sql["copy_progress"], [(p.topic, p.partition, offset) for p, offset in lanes.first.items()]
            )
            at: Positions = lanes.first
            while sum(positions.values()) - sum(at.values()) > _CLOSE_BY:
                await lanes.count(positions)
                at, positions = positions, await counted_up_to(connection)
            async with connection.transaction(isolation="repeatable_read"):
                positions = await counted_up_to(connection)
                await connection.execute(sql["make_live"])
                await connection.execute(sql["make_live_said"])
                await connection.execute(sql["copy_minutes"])
            await lanes.count(positions)
            await lanes.write()
        await connection.execute(sql["drop_old_minutes"])
        await connection.execute(sql["compare_in_memory"])
        return Replay(
            read=lanes.tally.read,
            counted=lanes.tally.counted,
            put_aside=await connection.fetchval(sql["put_aside"]),
            skipped=len(lanes.tally.empty),
            missing=sum(lanes.first.values()),
            cells=await connection.fetchval(sql["live_cells"]),
            said=await connection.fetchval(sql["live_answers_said"]),
            differing=[_differing(r) for r in await connection.fetch(sql["compare"])],
            differing_said=[_differing_said(r) for r in await connection.fetch(sql["compare_said"])],
            seconds=time.monotonic() - began,
            zone_data=zone_data(),
            zone_data_live=await noted_zone_data(connection),
        )


def _differing(row: asyncpg.Record) -> DifferingCell:
    _, window, index = unpack(row["place"])
    start = window_start(window, index)
    return DifferingCell(row["cut"], row["value"], window.value, start, row["live"], row["shadow"])


def _differing_said(row: asyncpg.Record) -> DifferingSaid:
    hour = str(window_start(Window.HOUR, row["local_hour"]))
    return DifferingSaid(row["question"], row["value"], hour, row["live"], row["shadow"])
